// The local gateway is a judge: this file judges it, with LiveKit's own token library and plain requests.

import { connect } from 'node:net'
import { AccessToken } from 'livekit-server-sdk'
import { expect, test } from 'vitest'
import { type Gateway, startGateway } from '../support/gateway.js'
import { mintGatewayToken } from '../support/gateway-token.js'

function ask(gateway: Gateway, token: string, body: object = { model: 'm', messages: [] }): Promise<Response> {
  return fetch(`${gateway.url}/chat/completions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', 'X-Odd-Case': 'a' },
    body: JSON.stringify(body),
  })
}

async function official(gateway: Gateway, perform: boolean): Promise<string> {
  const token = new AccessToken(gateway.keys.apiKey, gateway.keys.apiSecret, { identity: 'agent', ttl: 600 })
  token.addInferenceGrant({ perform })
  return token.toJwt()
}

test("a token of LiveKit's own library is taken, and every wrong one is not", async () => {
  await using gateway = await startGateway()
  const { keys } = gateway
  const past = Math.floor(Date.now() / 1000) - 10
  const wrong = [
    await official(gateway, false),
    mintGatewayToken(keys, { exp: past }),
    mintGatewayToken(keys, { nbf: past + 1000 }),
    mintGatewayToken(keys, { iss: 'somebody-else' }),
    mintGatewayToken({ ...keys, apiSecret: 'another-secret' }),
    'not-a-token',
  ]
  expect((await ask(gateway, await official(gateway, true))).status).toBe(200)
  for (const token of wrong) expect((await ask(gateway, token)).status).toBe(401)
})

test('the clock and revocation are the test’s', async () => {
  await using gateway = await startGateway()
  const token = mintGatewayToken(gateway.keys)
  expect((await ask(gateway, token)).status).toBe(200)
  gateway.revoked.add(`Bearer ${token}`)
  expect((await ask(gateway, token)).status).toBe(401)
  gateway.revoked.clear()
  gateway.now = () => Date.now() + 601_000
  expect((await ask(gateway, token)).status).toBe(401)
})

test('requests are recorded as they were on the wire, one after the other on one connection', async () => {
  await using gateway = await startGateway()
  const token = mintGatewayToken(gateway.keys)
  await (await ask(gateway, token)).text()
  await (await ask(gateway, token, { model: 'n', messages: [] })).text()
  const [first, second] = gateway.requests
  expect(first?.head).toMatch(/^POST \/v1\/chat\/completions HTTP\/1\.1\r\n/)
  expect(first?.fields).toContainEqual(['X-Odd-Case', 'a'])
  expect(first?.count('x-odd-case')).toBe(1)
  expect(second?.head).toMatch(/^POST /)
  expect(second?.body).toMatchObject({ model: 'n' })
})

test('a stream of server-sent events ends with [DONE], and can be cut', async () => {
  await using gateway = await startGateway()
  const token = mintGatewayToken(gateway.keys)
  const whole = await (await ask(gateway, token, { model: 'm', stream: true, messages: [] })).text()
  expect(whole).toMatch(/"content":" there"/)
  expect(whole.trimEnd().endsWith('data: [DONE]')).toBe(true)
  gateway.chat = { text: ['a', 'b'], cutAfter: 2 }
  const response = await ask(gateway, token, { model: 'm', stream: true, messages: [] })
  await expect(response.text()).rejects.toThrow()
})

test('faults are used up in order, by path', async () => {
  await using gateway = await startGateway()
  const token = mintGatewayToken(gateway.keys)
  gateway.faults.push(
    { path: '/elsewhere', status: 418 },
    { path: '/chat', status: 500, times: 2 },
    { status: 429, headers: { 'X-LiveKit-Inference-RPM-Limit': '10' } },
    { hangUp: true },
  )
  expect((await ask(gateway, token)).status).toBe(500)
  expect((await ask(gateway, token)).status).toBe(500)
  const limited = await ask(gateway, token)
  expect([limited.status, limited.headers.get('x-livekit-inference-rpm-limit')]).toEqual([429, '10'])
  await expect(ask(gateway, token)).rejects.toThrow()
  expect((await ask(gateway, token)).status).toBe(200)
})

test('an upgrade is accepted with a token, and refused with a status', async () => {
  await using gateway = await startGateway()
  const upgrade = async (token: string) => {
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    socket.write(
      `GET /v1/stt?model=x HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    const answer = await new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())))
    socket.destroy()
    return answer
  }
  const accepted = await upgrade(mintGatewayToken(gateway.keys))
  expect(accepted).toMatch(/^HTTP\/1\.1 101 /)
  // RFC 6455 §1.3 gives the answer to this key.
  expect(accepted).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  expect(await upgrade('nothing')).toMatch(/^HTTP\/1\.1 401 /)
  const { path, head, status } = await gateway.request(0, '/stt')
  expect([path, status]).toEqual(['/stt?model=x', 101])
  expect(head).toContain('Upgrade: websocket')
})
