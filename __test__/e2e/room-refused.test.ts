// Joins that fail: which of them another attempt may mend. The library tells why in text alone (src/engine/refusal.rs), so
// every kind is tried against the real thing.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AccessToken, type VideoGrant } from 'livekit-server-sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Room } from '../../ts/room/room.js'
import { LiveKitServer } from '../support/server.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const grant: VideoGrant = { roomJoin: true, room: 'kitchen' }

async function token(granted: VideoGrant, secret = server.apiSecret, ttl = 600): Promise<string> {
  const made = new AccessToken(server.apiKey, secret, { identity: 'agent', ttl })
  made.addGrant(granted)
  return await made.toJwt()
}

/** The error a join ends with. */
async function refusal(url: string, withToken: string): Promise<{ code: string; retryable: boolean; message: string }> {
  return await new Room().connect(url, withToken, { joinRetries: 0 }).then(
    () => expect.unreachable('the join succeeded'),
    (error) => error,
  )
}

/** An HTTP server that answers everything with a status. */
async function answering(status: number): Promise<{ url: string } & AsyncDisposable> {
  const other = createServer((_, answer) => void answer.writeHead(status).end('something else'))
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const stop = (): Promise<void> => new Promise((resolve) => void other.close(() => resolve()))
  return { url: `ws://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop }
}

test('a token the server refuses is refused for good, and not shown', async () => {
  for (const refused of [
    'not.a.token',
    await token(grant, 'another-secret-of-thirty-two-bytes-and-more'),
    await token(grant, server.apiSecret, -600),
    await token({ room: 'kitchen' }),
    await token({ roomJoin: true }),
  ]) {
    const { code, retryable, message } = await refusal(server.url, refused)
    expect([code, retryable], message).toEqual(['ROOM_CONNECT_FAILED', false])
    expect(message).not.toContain(refused)
  }
})

test('the key of a token that the server does not know is not shown', async () => {
  const made = new AccessToken('APIunknown', server.apiSecret, { identity: 'agent' })
  made.addGrant(grant)
  const { message } = await refusal(server.url, await made.toJwt())
  expect(message).toContain('invalid API key')
  expect(message).not.toContain('APIunknown')
})

test('where no LiveKit server is another attempt is in vain, where none answers or it is not well it is not', async () => {
  const good = await token(grant)
  for (const [status, retryable] of [
    [200, false],
    [404, false],
    [429, true],
    [503, true],
  ] as const) {
    await using other = await answering(status)
    const error = await refusal(other.url, good)
    expect([error.code, error.retryable], error.message).toEqual(['ROOM_CONNECT_FAILED', retryable])
  }
  const gone = await answering(200)
  await gone[Symbol.asyncDispose]()
  const error = await refusal(gone.url, good)
  expect([error.code, error.retryable], error.message).toEqual(['ROOM_CONNECT_FAILED', true])
})
