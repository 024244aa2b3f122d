// What happens in a room reaches its listeners: who comes, goes and says what about itself, data, and who was there.

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { native } from '../../ts/base/native.js'
import {
  ConnectionState,
  DataPacketKind,
  DisconnectReason,
  ParticipantKind,
  ParticipantKindDetail,
} from '../../ts/room/enums.js'
import { LocalParticipant } from '../../ts/room/local-participant.js'
import { RemoteParticipant } from '../../ts/room/participant.js'
import { Room } from '../../ts/room/room.js'
import { CapturedLogs } from '../support/logs.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'

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

const text = (payload: Uint8Array): string => new TextDecoder().decode(payload)
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)

test('a join announces itself before connect resolves, and leaving before disconnect does', async () => {
  const name = roomName()
  const room = new Room()
  const seen: unknown[] = []
  room.on('connectionStateChanged', (state) => seen.push(['state', state]))
  room.on('connected', () => seen.push('connected'))
  room.on('disconnected', (reason) => seen.push(['disconnected', reason]))
  await room.connect(server.url, await server.token('agent', name))
  expect(seen.splice(0)).toEqual([['state', ConnectionState.CONN_CONNECTED], 'connected'])
  expect([room.isConnected, room.connectionState, room.name]).toEqual([true, ConnectionState.CONN_CONNECTED, name])
  expect(room.localParticipant).toBeInstanceOf(LocalParticipant)
  expect([room.localParticipant?.identity, room.localParticipant?.kind]).toEqual(['agent', ParticipantKind.STANDARD])
  expect(room.localParticipant?.sid).toMatch(/^PA_/)
  expect(await room.getSid()).toMatch(/^RM_/)
  expect(room.emptyTimeout).toBeGreaterThan(0)
  expect(Math.abs(room.creationTime.getTime() - Date.now())).toBeLessThan(60_000)
  await expect(room.connect(server.url, 'a.b.c')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await room.disconnect()
  expect(seen).toEqual([
    ['state', ConnectionState.CONN_DISCONNECTED],
    ['disconnected', DisconnectReason.CLIENT_INITIATED],
  ])
  expect(await room.closed).toBe(DisconnectReason.CLIENT_INITIATED)
  await room.disconnect()
  expect(seen).toHaveLength(2)
})

/** A token with claims that LiveKit's server SDK does not write. */
function tokenWith(identity: string, room: string, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = { iss: server.apiKey, sub: identity, exp: Math.floor(Date.now() / 1_000) + 600, ...claims }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...body, video: { roomJoin: true, room } })}`
  return `${signed}.${createHmac('sha256', server.apiSecret).update(signed).digest('base64url')}`
}

test('what kind of participant somebody is, and what else about that, is told', async () => {
  const name = roomName()
  const claims = { kind: 'agent', kindDetails: ['cloud_agent', 'forwarded'] }
  await using other = new Room()
  await other.connect(server.url, tokenWith('hosted', name, claims))
  await using room = await joined(name)
  const details = [ParticipantKindDetail.CLOUD_AGENT, ParticipantKindDetail.FORWARDED]
  for (const participant of [other.localParticipant, room.remoteParticipants.get('hosted')]) {
    expect([participant?.kind, participant?.kindDetails]).toEqual([ParticipantKind.AGENT, details])
  }
  expect(room.localParticipant?.kindDetails).toEqual([])
})

test('who was there is present when connect resolves, and only their tracks are announced', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await peer.call('updateName', { name: 'Cal' })
  await peer.call('updateMetadata', { metadata: 'm' })
  await peer.call('setAttributes', { attributes: { mood: 'good' } })
  const room = new Room()
  const seen: string[] = []
  for (const event of ['participantConnected', 'trackPublished'] as const) room.on(event, () => seen.push(event))
  await room.connect(server.url, await server.token('agent', name))
  // Attached only now: it misses nothing.
  const subscribed = once(room, 'trackSubscribed')
  const caller = room.remoteParticipants.get('caller')
  expect([caller?.name, caller?.metadata, caller?.attributes]).toEqual(['Cal', 'm', { mood: 'good' }])
  const [publication] = [...(caller?.trackPublications.values() ?? [])]
  expect([publication?.name, publication?.muted, publication?.subscribed]).toEqual(['tone', false, false])
  expect((await subscribed).slice(1)).toEqual([publication, caller])
  expect(publication?.subscribed).toBe(true)
  expect(seen).toEqual([])
  await room.disconnect()
})

test('who comes and goes is announced, with the reason', async () => {
  const name = roomName()
  await using room = await joined(name)
  const connected = once(room, 'participantConnected')
  const active = once(room, 'participantActive')
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const [caller] = await connected
  expect(caller).toBeInstanceOf(RemoteParticipant)
  expect(room.remoteParticipants.get('caller')).toBe(caller)
  expect(await active).toEqual([caller])
  const published = once(room, 'trackPublished')
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const [publication, publisher] = await published
  expect([publisher, caller.trackPublications.get(publication.sid)]).toEqual([caller, publication])
  const disconnected = once(room, 'participantDisconnected')
  await peer.call('leave')
  expect(await disconnected).toEqual([caller])
  expect(caller.disconnectReason).toBe(DisconnectReason.CLIENT_INITIATED)
  expect(room.remoteParticipants.size).toBe(0)
})

test('data goes both ways, to everybody or to whom it is for, and from the server', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await using other = await Peer.join(server.url, await server.token('other', name))
  // The sender is known to the receiver once it was announced.
  if (!room.remoteParticipants.has('caller')) {
    await once(room, 'participantConnected')
  }
  const received = once(room, 'dataReceived')
  await peer.call('publishData', { text: 'hello', topic: 'greeting' })
  const [payload, participant, kind, topic] = await received
  expect([text(payload), participant, kind, topic]).toEqual([
    'hello',
    room.remoteParticipants.get('caller'),
    DataPacketKind.KIND_RELIABLE,
    'greeting',
  ])
  expect(payload.constructor).toBe(Uint8Array)

  const local = room.localParticipant as LocalParticipant
  await local.publishData(bytes('for all'), { reliable: true, topic: 't' })
  await local.publishData(bytes('secret'), { reliable: true, destination_identities: ['caller'] })
  await local.publishData(new Uint8Array(0), { reliable: true })
  await local.publishData(bytes('last'), { reliable: true })
  for (const receiver of [peer, other]) {
    await receiver.event('dataReceived', (event) => event.text === 'last')
    const texts = receiver.events.filter(({ event }) => event === 'dataReceived').map((event) => event.text)
    expect(texts).toEqual(receiver === peer ? ['for all', 'secret', '', 'last'] : ['hello', 'for all', '', 'last'])
  }
  const all = peer.events.find((event) => event.text === 'for all')
  expect(all).toMatchObject({ identity: 'agent', topic: 't', kind: DataPacketKind.KIND_RELIABLE })

  const fromServer = once(room, 'dataReceived')
  await server.rooms.sendData(name, bytes('news'), 0, { topic: 'server' })
  const [news, nobody, , about] = await fromServer
  expect([text(news), nobody, about]).toEqual(['news', undefined, 'server'])
})

test('a thousand packets arrive whole and in order', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using sender = await joined(name, 'sender')
  const seen: string[] = []
  const all = new Promise<void>((resolve) => {
    room.on('dataReceived', (payload) => {
      seen.push(text(payload))
      if (seen.length === 1_000) resolve()
    })
  })
  for (let number = 0; number < 1_000; number++) {
    await sender.localParticipant?.publishData(bytes(`packet ${number}`), { reliable: true })
  }
  await all
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, number) => `packet ${number}`))
})

test('name, metadata and attributes change on both sides', async () => {
  const name = roomName()
  await using room = await joined(name)
  const connected = once(room, 'participantConnected')
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  const [caller] = await connected
  const local = room.localParticipant as LocalParticipant

  const renamed = once(room, 'participantNameChanged')
  await peer.call('updateName', { name: 'Cal' })
  expect(await renamed).toEqual(['Cal', caller])
  const described = once(room, 'participantMetadataChanged')
  await peer.call('updateMetadata', { metadata: 'm' })
  expect(await described).toEqual(['m', caller])
  const attributed = once(room, 'participantAttributesChanged')
  await peer.call('setAttributes', { attributes: { mood: 'good', lang: 'en' } })
  expect(await attributed).toEqual([{ mood: 'good', lang: 'en' }, caller])
  expect([caller.name, caller.metadata, caller.attributes]).toEqual(['Cal', 'm', { mood: 'good', lang: 'en' }])

  const own = once(room, 'participantNameChanged')
  await local.updateName('Agent')
  expect(await own).toEqual(['Agent', local])
  await peer.event('participantNameChanged', (event) => event.name === 'Agent')
  await local.updateMetadata('busy')
  await peer.event('participantMetadataChanged', (event) => event.metadata === 'busy')
  await local.setAttributes({ a: '1', b: '2' })
  await peer.event('participantAttributesChanged', (event) => (event.changed as { a: string }).a === '1')
  const removed = new Promise<void>((resolve) => {
    room.on('participantAttributesChanged', (changed, participant) => {
      if (participant === local && changed.a === '') resolve()
    })
  })
  await local.setAttributes({ a: '' })
  await removed
  expect([local.name, local.metadata, local.attributes]).toEqual(['Agent', 'busy', { b: '2' }])
})

test('many updates are each done, and one that changes nothing too', async () => {
  await using room = await joined(roomName())
  const local = room.localParticipant as LocalParticipant
  for (let turn = 0; turn < 100; turn++) {
    await local.setAttributes({ turn: String(turn) })
    // What the server announces is there already, or comes with the next events.
    await vi.waitFor(() => expect(local.attributes.turn).toBe(String(turn)), { interval: 1 })
  }
  // Nothing changes, so nothing is announced: the answer counts.
  await local.setAttributes({ turn: '99' })
})

test('an update is done when LiveKit announces it, although the answer is lost (which is simulated)', async () => {
  await using room = await joined(roomName())
  const local = room.localParticipant as LocalParticipant
  const ask = native.NativeRoom.prototype.setAttributes
  using _ = vi.spyOn(native.NativeRoom.prototype, 'setAttributes').mockImplementation(function (
    this: InstanceType<typeof native.NativeRoom>,
    given,
  ) {
    void ask.call(this, given)
    return new Promise(() => {})
  })
  await local.setAttributes({ mood: 'good' })
  expect(local.attributes).toEqual({ mood: 'good' })
})

test('the room itself changes: its metadata, and its end', async () => {
  const name = roomName()
  const room = await joined(name)
  const changed = once(room, 'roomMetadataChanged')
  await server.rooms.updateRoomMetadata(name, 'closing soon')
  expect(await changed).toEqual(['closing soon'])
  expect(room.metadata).toBe('closing soon')
  const disconnected = once(room, 'disconnected')
  await server.rooms.deleteRoom(name)
  expect(await disconnected).toEqual([DisconnectReason.ROOM_DELETED])
  expect(await room.closed).toBe(DisconnectReason.ROOM_DELETED)
  expect(room.isConnected).toBe(false)
})

test('a token without permission is refused by name of what it may not do', async () => {
  const name = roomName()
  await using room = new Room()
  await room.connect(
    server.url,
    await server.token('agent', name, { canPublishData: false, canUpdateOwnMetadata: false }),
  )
  await expect(room.localParticipant?.updateName('x')).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
  const stranger = new Room()
  const error = await stranger.connect(server.url, `${await server.token('agent', name)}x`).catch((error) => error)
  expect(error).toMatchObject({ code: 'ROOM_CONNECT_FAILED' })
  expect(stranger.isConnected).toBe(false)
})

test('arguments of a joined room are checked, and a left one refuses everything', async () => {
  const room = await joined(roomName())
  const local = room.localParticipant as LocalParticipant
  const wrong = [null, undefined, 1, Number.NaN, -1, true, []] as never[]
  const invalid = { code: 'CONFIG_INVALID' }
  for (const value of [...wrong, {}] as never[]) {
    await expect(local.publishTrack(value)).rejects.toMatchObject(invalid)
    await expect(local.unpublishTrack(value)).rejects.toMatchObject(invalid)
    await expect(local.publishData(value, { reliable: true })).rejects.toMatchObject(invalid)
    await expect(local.updateMetadata(value)).rejects.toMatchObject(invalid)
    await expect(local.updateName(value)).rejects.toMatchObject(invalid)
    await expect(local.setAttributes(value === null ? value : ({ a: value } as never))).rejects.toMatchObject(invalid)
  }
  const data = bytes('x')
  for (const options of [null, 1, { reliable: 1 }, { topic: 1 }, { destination_identities: [1] }, { lossy: true }]) {
    await expect(local.publishData(data, options as never)).rejects.toMatchObject(invalid)
  }
  await expect(local.unpublishTrack('TR_unknown')).rejects.toMatchObject(invalid)
  await room.disconnect()
  const gone = { name: 'ConnectionError', code: 'ROOM_DISCONNECTED' }
  await expect(local.publishData(data)).rejects.toMatchObject(gone)
  await expect(local.unpublishTrack('TR_unknown')).rejects.toMatchObject(gone)
  await expect(local.updateMetadata('m')).rejects.toMatchObject(gone)
  await expect(local.updateName('n')).rejects.toMatchObject(gone)
  await expect(local.setAttributes({})).rejects.toMatchObject(gone)
  await expect(room.simulateScenario(0)).rejects.toMatchObject(gone)
  expect(await room.getSid()).toBe('')
})

test('a room can be joined again after it was left, with the same listeners', async () => {
  const room = new Room()
  let connections = 0
  room.on('connected', () => {
    connections += 1
  })
  for (let join = 1; join <= 3; join++) {
    const name = roomName()
    await room.connect(server.url, await server.token('agent', name))
    expect([room.name, connections]).toEqual([name, join])
    const { closed } = room
    await room.disconnect()
    expect(await closed).toBe(DisconnectReason.CLIENT_INITIATED)
  }
})

test('a listener that throws or rejects harms nobody', async () => {
  using logs = new CapturedLogs()
  const name = roomName()
  await using room = await joined(name)
  const failures: unknown[] = []
  room.on('participantConnected', () => {
    throw new Error('sync')
  })
  room.on('participantConnected', async () => {
    throw new Error('async')
  })
  // Not node:events' `once`: it would be an `error` listener.
  const connected = new Promise((resolve) => room.on('participantConnected', resolve))
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await connected
  await new Promise((resolve) => setImmediate(resolve))
  const logged = logs.records.filter(({ level }) => level === 'warn' || level === 'error')
  expect(logged.map(({ message }) => message)).toEqual(['a listener failed', 'a listener failed'])
  room.on('error', (error) => failures.push((error as Error).message))
  room.on('dataReceived', async () => {
    throw new Error('data')
  })
  const received = new Promise((resolve) => room.on('dataReceived', resolve))
  await peer.call('publishData', { text: 'x' })
  await received
  await new Promise((resolve) => setImmediate(resolve))
  expect(failures).toEqual(['data'])
})

test('what a listener awaits may attach the listener of the next event', async () => {
  const name = roomName()
  await using room = await joined(name)
  await using sender = await joined(name, 'sender')
  const seen = (async () => {
    const [first] = await once(room, 'dataReceived')
    const [second] = await once(room, 'dataReceived')
    const [third] = await (async () => await once(room, 'dataReceived'))()
    return [first, second, third].map(text)
  })()
  for (const word of ['one', 'two', 'three']) {
    await sender.localParticipant?.publishData(bytes(word), { reliable: true })
  }
  expect(await seen).toEqual(['one', 'two', 'three'])
})
