// The types of rooms, which only have to compile: events know their arguments, and what is wrong is an error.

import { on, once } from 'node:events'
import * as rtc from '@livekit/rtc-node'
import { expect, expectTypeOf, test } from 'vitest'
import * as roomhook from '../../ts/index.js'
import {
  AudioStream,
  type ConnectionQuality,
  type LocalParticipant,
  type LocalTrackPublication,
  type Participant,
  type RemoteParticipant,
  type RemoteTrack,
  type RemoteTrackPublication,
  Room,
  RoomEvent,
} from '../../ts/index.js'

test('listeners know their arguments', () => {
  const room = new Room()
  expectTypeOf(room.on('reconnected', () => {})).toEqualTypeOf<Room>()
  room.on('trackSubscribed', (track, publication, participant) => {
    expectTypeOf(track).toEqualTypeOf<RemoteTrack>()
    expectTypeOf(publication).toEqualTypeOf<RemoteTrackPublication>()
    expectTypeOf(participant).toEqualTypeOf<RemoteParticipant>()
    expectTypeOf(new AudioStream(track)).toExtend<AsyncIterable<roomhook.AudioFrame>>()
  })
  room.on(RoomEvent.DataReceived, (payload, participant, _kind, topic) => {
    expectTypeOf(payload).toEqualTypeOf<Uint8Array>()
    expectTypeOf(participant).toEqualTypeOf<RemoteParticipant | undefined>()
    expectTypeOf(topic).toEqualTypeOf<string | undefined>()
  })
  room.once('connectionQualityChanged', (quality, participant) => {
    expectTypeOf(quality).toEqualTypeOf<ConnectionQuality>()
    expectTypeOf(participant).toEqualTypeOf<Participant>()
  })
  room.off('localTrackPublished', (publication: LocalTrackPublication, participant: LocalParticipant) => [
    publication,
    participant,
  ])
  // @ts-expect-error: no such event
  room.on('trackSubscribe', () => {})
  // @ts-expect-error: the first argument is a track
  room.on('trackSubscribed', (track: string) => track)
  // @ts-expect-error: no such option
  void ((): Promise<void> => room.connect('ws://x', 't', { autosubscribe: true }))
})

test('what may be left out may be undefined', () => {
  const room = new Room()
  const track = {} as roomhook.RemoteAudioTrack
  void (() => room.connect('ws://x', 't', { autoSubscribe: undefined, rtcConfig: undefined, signal: undefined }))
  void (() => new AudioStream(track, { sampleRate: undefined, maxDelayMs: undefined }))
  void (() => new roomhook.TrackPublishOptions({ red: undefined, audioEncoding: undefined }))
  void (() => room.localParticipant?.publishData(new Uint8Array(), { topic: undefined, reliable: undefined }))
  void (() => room.getSid({ signal: undefined }))
  void ((): roomhook.IceServer => ({ urls: [], username: undefined, password: undefined }))
})

test("node:events' helpers work on rooms", () => {
  const room = new Room()
  const { signal } = new AbortController()
  void (() => once(room, 'disconnected', { signal }))
  void (() => on(room, 'dataReceived', { signal, close: ['disconnected'] }))
  expectTypeOf(room.closed).toEqualTypeOf<Promise<roomhook.DisconnectReason>>()
  expectTypeOf(room).toExtend<AsyncDisposable>()
})

test('enums have the names and values of rtc-node', () => {
  const theirs: Record<string, unknown> = { ...rtc }
  const enums = Object.entries({ ...roomhook }).filter(([, value]) => typeof value === 'object' && 0 in value)
  expect(enums).toHaveLength(13)
  for (const [name, values] of enums) {
    expect(Object.entries(values), name).toEqual(Object.entries(theirs[name] as object))
  }
})

test('events have the names of rtc-node, and its own ones are missing only where nothing announces them', () => {
  const ours: Record<string, string> = roomhook.RoomEvent
  const missing = Object.entries(rtc.RoomEvent).filter(([key, name]) => ours[key] !== name)
  expect(missing.map(([key]) => key)).toEqual(['ChatMessage', 'EncryptionError'])
})
