// Connections that break: a resumed signal, a full reconnect, a server that tells to leave, one that dies.

import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AudioStream } from '../../ts/room/audio-stream.js'
import { ConnectionState, DisconnectReason, SimulateScenarioKind } from '../../ts/room/enums.js'
import { Room } from '../../ts/room/room.js'
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

/** What a room says of its connection, in order. */
function watch(room: Room): string[] {
  const seen: string[] = []
  room.on('connectionStateChanged', (state) => seen.push(ConnectionState[state]))
  for (const event of ['reconnecting', 'reconnected', 'disconnected'] as const) room.on(event, () => seen.push(event))
  return seen
}

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

test('a lost signal connection is resumed: the same tracks, data goes on', async () => {
  const name = roomName()
  await using room = new Room()
  await room.connect(server.url, await server.token('agent', name))
  const seen = watch(room)
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await using tone = await playTone(room, 660, 8000)
  const sid = tone.publication.sid
  // A connection that is still being negotiated would be restored in full.
  await peer.hears('agent', 660)
  const reconnected = once(room, 'reconnected')
  await room.simulateScenario(SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT)
  await reconnected
  expect(seen).toEqual(['CONN_RECONNECTING', 'reconnecting', 'CONN_CONNECTED', 'reconnected'])
  expect(room.isConnected).toBe(true)
  expect(tone.publication.sid).toBe(sid)
  await room.localParticipant?.publishData(bytes('after'), { reliable: true })
  await peer.event('dataReceived', (event) => event.text === 'after')
  await peer.hears('agent', 660)
})

test('a full reconnect publishes again, under a new sid, and subscribes again', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await using room = new Room()
  await room.connect(server.url, await server.token('agent', name))
  await once(room, 'trackSubscribed')
  const seen = watch(room)
  await using tone = await playTone(room, 660, 8000)
  const before = tone.publication.sid as string
  const reconnected = once(room, 'reconnected')
  const republished = once(room, 'localTrackRepublished')
  const subscribed = once(room, 'trackSubscribed')
  await room.simulateScenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
  expect(await republished).toEqual([tone.publication, before, room.localParticipant])
  const after = tone.publication.sid as string
  expect(after).not.toBe(before)
  expect(tone.track.sid).toBe(after)
  expect([...(room.localParticipant?.trackPublications.keys() ?? [])]).toEqual([after])
  const [track] = await subscribed
  await reconnected
  expect(seen).toEqual(['CONN_RECONNECTING', 'reconnecting', 'CONN_CONNECTED', 'reconnected'])
  await hear(new AudioStream(track), 440)
  await peer.event('trackSubscribed', (event) => event.sid === after)
  await peer.hears('agent', 660)
  await room.localParticipant?.unpublishTrack(after)
})

test.each([
  SimulateScenarioKind.SIMULATE_NODE_FAILURE,
  SimulateScenarioKind.SIMULATE_MIGRATION,
  SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME,
])('scenario %s ends connected', async (scenario) => {
  await using room = new Room()
  await room.connect(server.url, await server.token('agent', roomName()))
  const reconnected = once(room, 'reconnected')
  await room.simulateScenario(scenario)
  await reconnected
  expect(room.connectionState).toBe(ConnectionState.CONN_CONNECTED)
})

test('a server that tells to leave ends the room once, and nothing comes after', async () => {
  const room = new Room()
  await room.connect(server.url, await server.token('agent', roomName()))
  const seen = watch(room)
  await room.simulateScenario(SimulateScenarioKind.SIMULATE_SERVER_LEAVE).catch(() => {})
  await room.closed
  expect(seen).toEqual(['CONN_DISCONNECTED', 'disconnected'])
  await room.disconnect()
  expect(seen).toHaveLength(2)
})

test('somebody else with the same identity takes the place', async () => {
  const name = roomName()
  const room = new Room()
  await room.connect(server.url, await server.token('agent', name))
  await using successor = new Room()
  await successor.connect(server.url, await server.token('agent', name))
  expect(await room.closed).toBe(DisconnectReason.DUPLICATE_IDENTITY)
  expect(successor.isConnected).toBe(true)
})

test('a server that restarts is joined again, or the room is left for a reason', async () => {
  await using own = await LiveKitServer.start()
  const room = new Room()
  await room.connect(own.url, await own.token('agent', roomName()))
  const seen = watch(room)
  const reconnecting = once(room, 'reconnecting')
  await own.kill()
  await reconnecting
  await own.launch()
  const outcome = await Promise.race([
    once(room, 'reconnected').then(() => 'reconnected'),
    room.closed.then((reason) => `left for ${DisconnectReason[reason]}`),
  ])
  expect(outcome).toMatch(/^(reconnected|left for \w+)$/)
  await room.disconnect()
  await room.closed
  expect(seen.filter((event) => event === 'disconnected')).toHaveLength(1)
  expect(seen.at(-1)).toBe('disconnected')
}, 60_000)

test('a server that never comes back ends the room', async () => {
  const own = await LiveKitServer.start()
  const room = new Room()
  await room.connect(own.url, await own.token('agent', roomName()))
  const seen = watch(room)
  await own[Symbol.asyncDispose]()
  expect(DisconnectReason[await room.closed]).toBeDefined()
  expect(seen.slice(0, 2)).toEqual(['CONN_RECONNECTING', 'reconnecting'])
  expect(seen.slice(-2)).toEqual(['CONN_DISCONNECTED', 'disconnected'])
}, 120_000)
