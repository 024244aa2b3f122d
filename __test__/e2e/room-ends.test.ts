// What ends with a room, a publication or a track: captures, waits and streams, each soon and with a code, by whichever
// side it ends. And what listeners that come early or late find.

import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AudioFrame } from '../../ts/room/audio-frame.js'
import { AudioSource } from '../../ts/room/audio-source.js'
import { AudioStream } from '../../ts/room/audio-stream.js'
import type { LocalParticipant } from '../../ts/room/local-participant.js'
import { TrackPublishOptions } from '../../ts/room/options.js'
import type { LocalTrackPublication } from '../../ts/room/publication.js'
import { Room } from '../../ts/room/room.js'
import { LocalAudioTrack } from '../../ts/room/track.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { hear } from '../support/sound.js'

const RATE = 48_000
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

const audio = (milliseconds: number): AudioFrame => AudioFrame.create(RATE, 1, (RATE * milliseconds) / 1_000)

interface Voice {
  source: AudioSource
  track: LocalAudioTrack
  publication: LocalTrackPublication
}

/** A published track whose source is full for a minute, and everything that waits for it. */
async function fullVoice(room: Room): Promise<Voice & { waiting: Promise<unknown>[] }> {
  const source = new AudioSource(RATE, 1, 30_000)
  const track = LocalAudioTrack.createAudioTrack('voice', source)
  const publication = (await room.localParticipant?.publishTrack(track)) as LocalTrackPublication
  await source.captureFrame(audio(30_000))
  const waiting = [
    source.captureFrame(audio(30_000)),
    source.captureFrame(audio(10)),
    source.waitForPlayout(),
    publication.waitForSubscription(),
  ]
  return { source, track, publication, waiting }
}

async function codes(waiting: Promise<unknown>[]): Promise<unknown[]> {
  const ended = await Promise.allSettled(waiting)
  return ended.map((each) => (each.status === 'rejected' ? each.reason.code : 'it succeeded'))
}

const later = ({ source, publication }: Voice) => [
  source.captureFrame(audio(10)),
  source.captureFrame(audio(30_000)),
  source.waitForPlayout(),
  publication.waitForSubscription(),
]

test.each([
  ['is left', (room: Room) => room.disconnect()],
  ['removes us', (_: Room, name: string) => server.rooms.removeParticipant(name, 'agent')],
  ['is deleted', (_: Room, name: string) => server.rooms.deleteRoom(name)],
])('F-R7, F-R16: when the room %s, captures, playing and subscriptions end with ROOM_DISCONNECTED', async (_, end) => {
  const name = roomName()
  await using room = await joined(name)
  const voice = await fullVoice(room)
  const began = performance.now()
  await Promise.all([end(room, name), room.closed])
  expect(new Set(await codes(voice.waiting))).toEqual(new Set(['ROOM_DISCONNECTED']))
  expect(new Set(await codes(later(voice)))).toEqual(new Set(['ROOM_DISCONNECTED']))
  expect(performance.now() - began).toBeLessThan(5_000)
  expect(voice.source.queuedDuration).toBe(0)
})

test('F-R16: when a track is unpublished, all that ends with CLOSED, until it is published again', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const voice = await fullVoice(room)
  await voice.publication.waitForSubscription()
  await room.localParticipant?.unpublishTrack(voice.publication.sid as string)
  expect(await codes(voice.waiting)).toEqual(['CLOSED', 'CLOSED', 'CLOSED', 'it succeeded'])
  expect(await codes(later(voice))).toEqual(['CLOSED', 'CLOSED', 'CLOSED', 'it succeeded'])
  const again = LocalAudioTrack.createAudioTrack('voice', voice.source)
  const publication = await room.localParticipant?.publishTrack(again)
  await peer.event('trackPublished', ({ sid }) => sid === publication?.sid)
  await voice.source.captureFrame(audio(10))
  await voice.source.waitForPlayout()
})

test('F-R16: whoever captures when we leave finds the room left already', async () => {
  await using room = await joined(roomName())
  const { waiting } = await fullVoice(room)
  const found = waiting.map((wait) => wait.catch(() => room.isConnected))
  await room.disconnect()
  expect(await Promise.all(found)).toEqual([false, false, false, false])
})

test('F-R16: a source that two rooms carry lives until both are left', async () => {
  await using first = await joined(roomName())
  await using second = await joined(roomName())
  await using source = new AudioSource(RATE, 1)
  for (const room of [first, second]) {
    await room.localParticipant?.publishTrack(LocalAudioTrack.createAudioTrack('voice', source))
  }
  await first.disconnect()
  await source.captureFrame(audio(10))
  await source.waitForPlayout()
  await second.disconnect()
  expect(await codes([source.captureFrame(audio(10))])).toEqual(['ROOM_DISCONNECTED'])
})

test('a signal ends waiting for whatever is asked of the room, and the next call works', async () => {
  await using room = await joined(roomName())
  const local = room.localParticipant as LocalParticipant
  const source = new AudioSource(RATE, 1)
  const track = LocalAudioTrack.createAudioTrack('voice', source)
  const publication = await local.publishTrack(track)
  const sid = publication.sid as string
  for (const given of [AbortSignal.abort(), 'late'] as const) {
    const aborted = new AbortController()
    const signal = given === 'late' ? aborted.signal : given
    const other = LocalAudioTrack.createAudioTrack('other', source)
    const waiting = [
      local.publishTrack(other, new TrackPublishOptions({ signal })),
      local.publishData(new Uint8Array(1), { reliable: true, signal }),
      local.updateName('somebody', { signal }),
      local.updateMetadata('something', { signal }),
      local.setAttributes({ some: 'thing' }, { signal }),
      local.unpublishTrack(sid, true, { signal }),
    ]
    aborted.abort()
    expect(new Set(await codes(waiting))).toEqual(new Set(['ABORTED']))
  }
  await local.publishData(new Uint8Array(1), { reliable: true })
  await local.updateName('somebody else')
  expect(await codes([local.updateName('x', { signal: 1 as never })])).toEqual(['CONFIG_INVALID'])
})

test('a signal ends waiting for a subscription or a sid', async () => {
  await using room = await joined(roomName())
  const source = new AudioSource(RATE, 1)
  const track = LocalAudioTrack.createAudioTrack('voice', source)
  const publication = (await room.localParticipant?.publishTrack(track)) as LocalTrackPublication
  const aborted = new AbortController()
  const waiting = publication.waitForSubscription({ signal: aborted.signal })
  aborted.abort()
  expect(await codes([waiting])).toEqual(['ABORTED'])
  expect(await codes([publication.waitForSubscription({ signal: AbortSignal.abort() })])).toEqual(['ABORTED'])
})

test('F-R15: a stream of a track that has ended ends at once: unpublished, unsubscribed, gone, room left', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await using room = await joined(name)
  const endsAtOnce = async (track: ConstructorParameters<typeof AudioStream>[0]): Promise<void> => {
    for await (const _ of new AudioStream(track)) expect.fail('a frame came')
    const reader = new AudioStream(track).getReader()
    expect((await reader.read()).done).toBe(true)
    await reader.closed
  }

  const [track, publication] = await once(room, 'trackSubscribed')
  const unsubscribed = once(room, 'trackUnsubscribed')
  publication.setSubscribed(false)
  await unsubscribed
  await endsAtOnce(track)

  const subscribed = once(room, 'trackSubscribed')
  publication.setSubscribed(true)
  const [second] = await subscribed
  const unpublished = once(room, 'trackUnpublished')
  await peer.call('unpublishTone')
  await unpublished
  await endsAtOnce(second)

  const third = once(room, 'trackSubscribed')
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const [mine] = await third
  await using other = await joined(name, 'other')
  const [theirs] = await once(other, 'trackSubscribed')
  await other.disconnect()
  await endsAtOnce(theirs)
  const gone = once(room, 'participantDisconnected')
  await peer.call('leave')
  await gone
  await endsAtOnce(mine)
})

test('F-R3: who listens before connect misses nothing, and who comes late finds everything by walking', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const { sid } = await peer.call<{ sid: string }>('publishTone', { frequency: 440, peak: 8000 })
  await using room = new Room()
  const heard: string[] = []
  for (const event of ['connected', 'participantConnected', 'trackPublished', 'trackSubscribed'] as const) {
    room.on(event, () => heard.push(event))
  }
  const subscribed = once(room, 'trackSubscribed')
  await room.connect(server.url, await server.token('agent', name))
  const caller = room.remoteParticipants.get('caller')
  expect([...(caller?.trackPublications.keys() ?? [])]).toEqual([sid])
  const [track] = await subscribed
  expect(heard).toEqual(['connected', 'trackSubscribed'])

  await new Promise((resolve) => setImmediate(resolve))
  const found = caller?.trackPublications.get(sid)
  expect([found?.subscribed, found?.track]).toEqual([true, track])
  await hear(new AudioStream(track), 440)

  await using late = await Peer.join(server.url, await server.token('late', name))
  await late.call('publishTone', { frequency: 660, peak: 8000 })
  const [, publication, participant] = await once(room, 'trackSubscribed')
  expect(room.remoteParticipants.get('late')).toBe(participant)
  expect(participant.trackPublications.get(publication.sid as string)).toBe(publication)
  expect(heard).toEqual(['connected', 'trackSubscribed', 'participantConnected', 'trackPublished', 'trackSubscribed'])
})
