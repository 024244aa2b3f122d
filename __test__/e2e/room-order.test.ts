// What is called first happens first, and what cannot happen is refused with words of ours: data, and what the local
// participant says about itself.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AccessToken } from 'livekit-server-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LocalParticipant } from '../../ts/room/local-participant.js'
import { Room } from '../../ts/room/room.js'
import { startChild } from '../support/child.js'
import { LiveKitServer, roomName } from '../support/server.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const bytes = (value: string): Uint8Array => new TextEncoder().encode(value)
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload)
const reliable = { reliable: true }

async function joined(name: string, identity = 'agent'): Promise<[Room, LocalParticipant]> {
  const room = new Room()
  await room.connect(server.url, await server.token(identity, name))
  return [room, room.localParticipant as LocalParticipant]
}

/** The texts of the next `count` packets. */
function packets(room: Room, count: number): Promise<string[]> {
  const seen: string[] = []
  return new Promise((resolve) => {
    room.on('dataReceived', (payload) => {
      seen.push(text(payload))
      if (seen.length === count) resolve(seen)
    })
  })
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, number) => String(number))

test('F-R10: packets that nobody awaits arrive in the order of the calls', async () => {
  const name = roomName()
  const [receiver] = await joined(name)
  const [sender, local] = await joined(name, 'sender')
  const all = packets(receiver, 2_000)
  const sent: Promise<void>[] = []
  for (const number of numbers(2_000)) sent.push(local.publishData(bytes(number), reliable))
  await Promise.all(sent)
  expect(await all).toEqual(numbers(2_000))
  await Promise.all([receiver.disconnect(), sender.disconnect()])
})

test('F-R10: an echo of an async listener that awaits keeps the order', async () => {
  const name = roomName()
  const [echo, echoing] = await joined(name, 'echo')
  const [room, local] = await joined(name)
  echo.on('dataReceived', async (payload) => {
    await echoing.publishData(payload, reliable)
  })
  const all = packets(room, 500)
  for (const number of numbers(500)) void local.publishData(bytes(number), reliable)
  expect(await all).toEqual(numbers(500))
  await Promise.all([echo.disconnect(), room.disconnect()])
})

test.each(['one after the other', 'at once'])(
  'F-R11: name, metadata and attributes set %s right after the join are all kept',
  async (how) => {
    for (let round = 0; round < 5; round++) {
      const name = roomName()
      // What the token says is what a change takes back that does not wait for the one before it.
      const { apiKey, apiSecret } = server
      const told = new AccessToken(apiKey, apiSecret, { identity: 'agent', name: 'before', metadata: 'before' })
      told.addGrant({ roomJoin: true, room: name, canUpdateOwnMetadata: true })
      const room = new Room()
      await room.connect(server.url, await told.toJwt())
      const local = room.localParticipant as LocalParticipant
      const changes = [
        () => local.updateName('Greeter'),
        () => local.updateMetadata('M'),
        () => local.setAttributes({ mood: 'good' }),
        () => local.updateName('Second'),
        () => local.setAttributes({ lang: 'en' }),
      ]
      if (how === 'at once') await Promise.all(changes.map((change) => change()))
      else for (const change of changes) await change()
      const wanted = { name: 'Second', metadata: 'M', attributes: { mood: 'good', lang: 'en' } }
      expect(await server.rooms.getParticipant(name, 'agent')).toMatchObject(wanted)
      expect({ name: local.name, metadata: local.metadata, attributes: local.attributes }).toEqual(wanted)
      await room.disconnect()
    }
  },
)

test('F-R11: a change that is refused does not hold up the next, and none outlives the room', async () => {
  const name = roomName()
  const [room, local] = await joined(name)
  const refused = local.updateName('x'.repeat(100_000))
  const kept = local.updateMetadata('M')
  await expect(refused).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
  await kept
  expect(local.metadata).toBe('M')
  const late = Promise.allSettled([
    local.updateName('late'),
    local.updateMetadata('late'),
    local.setAttributes({ late: '1' }),
  ])
  await room.disconnect()
  for (const change of await late) {
    if (change.status === 'rejected') expect(change.reason).toMatchObject({ code: 'ROOM_DISCONNECTED' })
  }
})

test('F-R18: an empty name or metadata, which LiveKit ignores, is refused where there is one', async () => {
  const [room, local] = await joined(roomName())
  await local.updateMetadata('')
  await local.updateMetadata('M')
  await expect(local.updateMetadata('')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await local.updateName('N')
  await expect(local.updateName('')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  expect([local.name, local.metadata]).toEqual(['N', 'M'])
  await room.disconnect()
})

test('F-R18: data longer than a message is refused with the limit, and data as long as one arrives', async () => {
  const name = roomName()
  const [receiver] = await joined(name)
  const [room, local] = await joined(name, 'sender')
  const options = { ...reliable, topic: 'long' }
  const error = await local.publishData(new Uint8Array(65_000), options).catch((error) => error)
  expect(error).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' })
  const [, most] = /at most (\d+) bytes .* 64000 bytes/.exec(error.message) as unknown as [string, string]
  const received = once(receiver, 'dataReceived')
  await local.publishData(new Uint8Array(Number(most)), options)
  expect((await received)[0]).toHaveLength(Number(most))
  await expect(local.publishData(new Uint8Array(Number(most) + 1), options)).rejects.toThrow(String(Number(most) + 1))
  await Promise.all([receiver.disconnect(), room.disconnect()])
})

test('F-R18: data without the permission to publish it is refused', async () => {
  const room = new Room()
  await room.connect(server.url, await server.token('agent', roomName(), { canPublishData: false }))
  const sending = room.localParticipant?.publishData(bytes('x'), reliable)
  await expect(sending).rejects.toMatchObject({
    code: 'TRANSPORT_FAILED',
    message: expect.stringContaining('canPublishData'),
  })
  await room.disconnect()
})

test.each([
  ['its deletion', (name: string) => server.rooms.deleteRoom(name)],
  ['a kick', (name: string) => server.rooms.removeParticipant(name, 'agent')],
])(
  'F-R16: data that is sent while and after the room ends by %s is refused with words of ours, and after it as disconnected',
  async (_, end) => {
    const name = roomName()
    const [room, local] = await joined(name)
    const sent: Promise<unknown>[] = []
    const outcome = (): Promise<unknown> =>
      local.publishData(bytes('x'), reliable).then(
        () => 'sent',
        (error) => error,
      )
    let over = false
    const ended = once(room, 'disconnected').then(() => {
      over = true
    })
    const ending = end(name)
    while (!over) {
      sent.push(outcome(), outcome())
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all([ending, ended])
    // The data channel can be gone before anybody knows that the room is.
    for (const found of await Promise.all(sent)) {
      if (found === 'sent') continue
      expect(['ROOM_DISCONNECTED', 'TRANSPORT_FAILED']).toContain((found as { code: string }).code)
      expect((found as Error).message).not.toMatch(/Error|engine|channel|internal/)
    }
    expect(await outcome()).toMatchObject({ code: 'ROOM_DISCONNECTED' })
  },
)

test('F-R14: reliable data waits for a thread that is busy', async () => {
  const name = roomName()
  const child = startChild(
    `import { readSync } from 'node:fs'
    const room = new roomhook.Room()
    let count = 0
    const all = new Promise((resolve) => room.on('dataReceived', () => { if (++count === args.count) resolve() }))
    room.on('dataDropped', (packets) => console.log('dropped', packets))
    await room.connect(args.url, args.token)
    console.log('busy')
    readSync(0, Buffer.alloc(1))
    await all
    console.log('all', room.droppedDataPackets)
    await room.disconnect()
    process.exit()`,
    { url: server.url, token: await server.token('busy', name), count: 9_000 },
  )
  await child.line('busy')
  const [room, local] = await joined(name)
  const sent: Promise<void>[] = []
  for (const number of numbers(9_000)) sent.push(local.publishData(bytes(number), reliable))
  await Promise.all(sent)
  child.tell('go')
  expect(await child.line('all')).toBe('0')
  const { output } = await child.ended
  expect(output).not.toContain('dropped')
  await room.disconnect()
})

test('F-R17: what a server answers to a join is cut and cleaned', async () => {
  const body = `no such thing as alice@example.com ${'and bob '.repeat(25_000)}`
  const stranger = createServer((_, response) => response.writeHead(401).end(body))
  stranger.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    socket.end(`HTTP/1.1 401 Unauthorized\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
  })
  stranger.listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  const { port } = stranger.address() as AddressInfo
  const joining = new Room().connect(`ws://127.0.0.1:${port}`, 'a.b.c', { joinRetries: 0 })
  const error = await joining.catch((error) => error)
  expect(error).toMatchObject({ code: 'ROOM_CONNECT_FAILED', retryable: false })
  expect(error.message).toContain('401')
  expect(error.message).not.toMatch(/alice|bob/)
  expect(error.message.length).toBeLessThan(200)
  stranger.close()
})
