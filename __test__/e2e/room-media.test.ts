// Audio through a real server to and from a real second participant: measured, muted, taken back, subscribed to or not.

import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AudioStream } from '../../ts/room/audio-stream.js'
import { TrackKind, TrackSource } from '../../ts/room/enums.js'
import { RemoteParticipant } from '../../ts/room/participant.js'
import { LocalTrackPublication, RemoteTrackPublication } from '../../ts/room/publication.js'
import { Room } from '../../ts/room/room.js'
import { RemoteAudioTrack } from '../../ts/room/track.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { hear, playTone } from '../support/sound.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function joined(name: string, identity = 'agent'): Promise<Room> {
  const room = new Room()
  await room.connect(server.url, await server.token(identity, name))
  return room
}

test('a tone is heard at its frequency and level, in both directions', async () => {
  const name = roomName()
  await using room = await joined(name)
  const subscribed = once(room, 'trackSubscribed')
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const [track, publication, participant] = await subscribed
  expect(track).toBeInstanceOf(RemoteAudioTrack)
  expect(publication).toBeInstanceOf(RemoteTrackPublication)
  expect(participant).toBeInstanceOf(RemoteParticipant)
  expect([track.sid, track.kind, publication.track, publication.subscribed, publication.source]).toEqual([
    publication.sid,
    TrackKind.KIND_AUDIO,
    track,
    true,
    TrackSource.SOURCE_MICROPHONE,
  ])
  await hear(new AudioStream(track), 440)
  await hear(new AudioStream(track, { sampleRate: 16_000, frameSizeMs: 50 }), 440)

  await using tone = await playTone(room, 660, 8000)
  await peer.hears('agent', 660)
  expect(tone.publication).toBeInstanceOf(LocalTrackPublication)
  await tone.publication.waitForSubscription()
})

test('F-R19: sources of every kind of rate are heard at their frequency', async () => {
  for (const rate of [8_000, 22_100, 44_100]) {
    const name = roomName()
    await using room = await joined(name)
    await using peer = await Peer.join(server.url, await server.token('caller', name))
    await using _ = await playTone(room, 500, 8000, rate)
    await peer.hears('agent', 500)
  }
})

test('a track is muted, unmuted and taken back on both sides', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const published = once(room, 'localTrackPublished')
  const heard = once(room, 'localTrackSubscribed')
  await using tone = await playTone(room, 660, 8000)
  expect(await published).toEqual([tone.publication, room.localParticipant])
  expect(await heard).toEqual([tone.track])
  const sid = tone.publication.sid as string
  expect(room.localParticipant?.trackPublications.get(sid)).toBe(tone.publication)
  await peer.event('trackSubscribed', (event) => event.sid === sid)

  await tone.track.mute()
  await peer.event('trackMuted', (event) => event.sid === sid)
  await tone.track.unmute()
  await peer.event('trackUnmuted', (event) => event.sid === sid)

  const muted = once(room, 'trackMuted')
  await server.rooms.mutePublishedTrack(name, 'agent', sid, true)
  expect(await muted).toEqual([tone.publication, room.localParticipant])
  expect([tone.publication.muted, tone.track.muted]).toEqual([true, true])

  await expect(room.localParticipant?.publishTrack(tone.track)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  const unpublished = once(room, 'localTrackUnpublished')
  await room.localParticipant?.unpublishTrack(sid)
  expect(await unpublished).toEqual([tone.publication, room.localParticipant])
  expect(tone.publication.track).toBeUndefined()
  expect(room.localParticipant?.trackPublications.size).toBe(0)
  await peer.event('trackUnpublished', (event) => event.sid === sid)
  await expect(room.localParticipant?.unpublishTrack(sid)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})

test('a remote track can be left and joined again, and what ends tells its streams', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await using room = await joined(name)
  const [track, publication, participant] = await once(room, 'trackSubscribed')
  const stream = new AudioStream(track)
  await hear(stream, 440)

  const left = once(room, 'trackUnsubscribed')
  publication.setSubscribed(false)
  expect(await left).toEqual([track, publication, participant])
  expect([publication.subscribed, publication.track]).toEqual([false, undefined])
  for await (const _ of stream) {
  }

  const again = once(room, 'trackSubscribed')
  publication.setSubscribed(true)
  const [fresh] = await again
  expect(publication.track).toBe(fresh)
  const next = new AudioStream(fresh)
  await hear(next, 440)

  const muted = once(room, 'trackMuted')
  await server.rooms.mutePublishedTrack(name, 'caller', publication.sid as string, true)
  expect(await muted).toEqual([publication, participant])
  expect([publication.muted, fresh.muted]).toEqual([true, true])

  const gone = once(room, 'trackUnpublished')
  await peer.call('unpublishTone')
  expect(await gone).toEqual([publication, participant])
  expect(participant.trackPublications.size).toBe(0)
  for await (const _ of next) {
  }
})

test('a remote track that is left and wanted again in one breath comes back, however often', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await using room = await joined(name)
  let [track, publication] = await once(room, 'trackSubscribed')
  for (let time = 0; time < 6; time++) {
    const again = once(room, 'trackSubscribed')
    publication.setSubscribed(false)
    publication.setSubscribed(true)
    ;[track, publication] = await again
    expect([publication.subscribed, publication.track]).toEqual([true, track])
  }
  await hear(new AudioStream(track), 440)
})

test('without autoSubscribe a track waits until it is asked for', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await using room = new Room()
  await room.connect(server.url, await server.token('agent', name), { autoSubscribe: false })
  const publication = [...(room.remoteParticipants.get('caller')?.trackPublications.values() ?? [])][0]
  expect([publication?.subscribed, publication?.track]).toEqual([false, undefined])
  const subscribed = once(room, 'trackSubscribed')
  publication?.setSubscribed(true)
  const [track] = await subscribed
  await hear(new AudioStream(track), 440)
})

test('who speaks and how good connections are is announced', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const speaking = once(room, 'activeSpeakersChanged')
  const rated = once(room, 'connectionQualityChanged')
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const [speakers] = await speaking
  expect(speakers).toEqual([room.remoteParticipants.get('caller')])
  const [quality, participant] = await rated
  expect([0, 1, 2, 3]).toContain(quality)
  expect([room.localParticipant, room.remoteParticipants.get('caller')]).toContain(participant)
})

test('a room that is left ends its streams', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const room = await joined(name)
  const [track] = await once(room, 'trackSubscribed')
  const stream = new AudioStream(track)
  await hear(stream, 440)
  await room.disconnect()
  for await (const _ of stream) {
  }
})
