// Rooms without a server: wrong arguments, joins that cannot succeed, joins that are given up, a room never joined.

import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ErrorCode } from '../../ts/base/errors.js'
import { ConfigError, RoomhookError } from '../../ts/base/errors.js'
import { ConnectionState } from '../../ts/room/enums.js'
import type { RoomOptions } from '../../ts/room/options.js'
import { Room } from '../../ts/room/room.js'

const TOKEN = 'a.b.c'
let silent: Server
let silentUrl: string

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

beforeAll(async () => {
  // Accepts connections and says nothing: a join hangs until it is given up.
  silent = createServer((socket) => socket.on('error', () => {}))
  silentUrl = await listen(silent)
})

afterAll(() => {
  silent.close()
})

async function failure(work: () => unknown): Promise<RoomhookError> {
  try {
    await work()
  } catch (error) {
    if (RoomhookError.isInstance(error)) return error
    throw error
  }
  throw new Error('it did not fail')
}

async function code(work: () => unknown): Promise<ErrorCode> {
  return (await failure(work)).code
}

test('wrong arguments of connect are refused before anything happens', async () => {
  const room = new Room()
  const wrong = [null, 1, Number.NaN, -1, {}, [], true] as never[]
  for (const value of wrong) {
    expect(await code(() => room.connect(value, TOKEN))).toBe('CONFIG_INVALID')
    expect(await code(() => room.connect('ws://127.0.0.1', value))).toBe('CONFIG_INVALID')
  }
  for (const url of ['', 'nonsense', 'ftp://example.com', 'ws://']) {
    expect(await code(() => room.connect(url, TOKEN))).toBe('CONFIG_INVALID')
  }
  expect(await code(() => room.connect('ws://127.0.0.1', 'not a token'))).toBe('CONFIG_INVALID')
  expect(room.connectionState).toBe(ConnectionState.CONN_DISCONNECTED)
})

test('every option is checked, and unknown ones are refused with the nearest known one', async () => {
  const room = new Room()
  const refused: [object, string][] = [
    [{ autoSubscribe: 1 }, 'options.autoSubscribe must be a boolean'],
    [{ dynacast: null }, 'options.dynacast must be a boolean'],
    [{ adaptiveStream: 'yes' }, 'options.adaptiveStream must be a boolean'],
    [{ singlePeerConnection: 0 }, 'options.singlePeerConnection must be a boolean'],
    [{ joinRetries: -1 }, 'options.joinRetries must be a whole number from 0 to 100'],
    [{ joinRetries: 1.5 }, 'options.joinRetries must be a whole number'],
    [{ connectTimeoutMs: Number.NaN }, 'options.connectTimeoutMs must be a whole number'],
    [{ connectTimeoutMs: 2 ** 40 }, 'options.connectTimeoutMs must be a whole number'],
    [{ rtcConfig: null }, 'options.rtcConfig must be an object'],
    [{ rtcConfig: { iceTransportType: 3 } }, 'options.rtcConfig.iceTransportType must be a whole number from 0 to 2'],
    [{ rtcConfig: { iceServers: 'turn:x' } }, 'options.rtcConfig.iceServers must be an array'],
    [{ rtcConfig: { iceServers: [{ urls: [] }] } }, 'options.rtcConfig.iceServers[0].urls must be an array of URLs'],
    [{ rtcConfig: { iceServers: [{ urls: [1] }] } }, 'options.rtcConfig.iceServers[0].urls[0] must be'],
    [{ signal: {} }, 'options.signal must be an AbortSignal'],
    [{ autosubscribe: true }, 'did you mean autoSubscribe?'],
    [{ encryption: {} }, 'options.encryption is not an option'],
  ]
  for (const [options, message] of refused) {
    const error = await failure(() => room.connect('ws://127.0.0.1', TOKEN, options as RoomOptions))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain(message)
  }
  for (const options of [null, 1, [], 'x']) {
    expect(await code(() => room.connect('ws://127.0.0.1', TOKEN, options as never))).toBe('CONFIG_INVALID')
  }
})

test('a server that is down is a retryable ROOM_CONNECT_FAILED without the token in its message', async () => {
  const room = new Room()
  const gone = createServer()
  const url = await listen(gone)
  await new Promise((resolve) => gone.close(resolve))
  const error = await failure(() => room.connect(url, 'aaaa.bbbb.cccc', { joinRetries: 0 }))
  expect(error).toMatchObject({ name: 'ConnectionError', code: 'ROOM_CONNECT_FAILED', retryable: true })
  expect(error.message).toMatch(/^the room could not be joined: /)
  expect(error.message).not.toContain('bbbb')
  expect(error.stack).toContain('room.test.ts')
  expect(room.isConnected).toBe(false)
})

test('a signal gives a join up, before it begins and while it runs', async () => {
  const room = new Room()
  const reason = new Error('enough')
  const early = await failure(() => room.connect(silentUrl, TOKEN, { signal: AbortSignal.abort(reason) }))
  expect(early).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: reason })
  const controller = new AbortController()
  const joining = failure(() => room.connect(silentUrl, TOKEN, { signal: controller.signal }))
  controller.abort(reason)
  expect(await joining).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: reason })
  expect(room.isConnected).toBe(false)
})

test('disconnect gives a join under way up, and a room is joined once at a time', async () => {
  const room = new Room()
  const joining = code(() => room.connect(silentUrl, TOKEN))
  await expect(room.connect(silentUrl, TOKEN)).rejects.toBeInstanceOf(ConfigError)
  await room.disconnect()
  expect(await joining).toBe('ABORTED')
})

test('an attempt that gets no answer ends after its timeout', async () => {
  const room = new Room()
  const began = performance.now()
  const options = { connectTimeoutMs: 200, joinRetries: 0 }
  expect(await code(() => room.connect(silentUrl, TOKEN, options))).toBe('ROOM_CONNECT_FAILED')
  expect(performance.now() - began).toBeLessThan(5_000)
})

test('a room that was never joined is empty, and leaving it does nothing', async () => {
  await using room = new Room()
  expect(room.localParticipant).toBeUndefined()
  expect(room.remoteParticipants.size).toBe(0)
  expect([room.name, room.metadata, room.isConnected]).toEqual([undefined, undefined, false])
  expect([room.numParticipants, room.numPublishers, room.isRecording]).toEqual([0, 0, false])
  expect([room.emptyTimeout, room.departureTimeout, room.creationTime.getTime()]).toEqual([0, 0, 0])
  expect(room.droppedDataPackets).toBe(0)
  expect(await room.getSid()).toBe('')
  expect(await code(() => room.simulateScenario(0))).toBe('ROOM_DISCONNECTED')
  expect(await code(() => room.simulateScenario(9 as never))).toBe('CONFIG_INVALID')
  expect(await code(() => room.simulateScenario(null as never))).toBe('CONFIG_INVALID')
  await room.disconnect()
  await room.disconnect()
})
