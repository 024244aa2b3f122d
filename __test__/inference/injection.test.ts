// Injection attempts against a raw TCP server: exactly the expected request and header lines arrive, whatever a hook, a
// sender, a caller or a signed payload contains.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { createHeaderHooks, encodeHeaderValue, inferenceFetch, inferenceSocket } from '../../ts/inference.js'
import { testJob } from '../support/inference-job.js'
import { CapturedLogs } from '../support/logs.js'

const keys = { apiKey: 'key', apiSecret: 'secret' }
const EVIL = 'x\r\nX-Evil: canary\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n'

/** Records every byte of every connection, and answers each request head with 200 and no body. */
async function rawServer(): Promise<{ url: string; bytes(): string } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  let seen = ''
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1')
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes: () => seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The lines of the one request that was sent, sorted, with what differs from run to run replaced. */
function lines(bytes: string): string[] {
  const [head = '', ...rest] = bytes.split('\r\n\r\n')
  expect(rest, 'exactly one request').toEqual([''])
  return head
    .split('\r\n')
    .map((line) =>
      line
        .replace(/127\.0\.0\.1:\d+/, 'host')
        .replace(/Bearer \S+/, 'Bearer token')
        .replace(/roomhook\/.*/, 'roomhook')
        .replace(/^(sec-websocket-key): .*/i, '$1: key'),
    )
    .sort()
}

const FETCH_LINES = [
  'GET /models HTTP/1.1',
  'host: host',
  'connection: keep-alive',
  'accept: */*',
  'accept-language: *',
  'accept-encoding: gzip, deflate',
  'sec-fetch-mode: cors',
  'User-Agent: roomhook',
  'Authorization: Bearer token',
]

const SOCKET_LINES = [
  'GET /stt HTTP/1.1',
  'Host: host',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: key',
  'user-agent: roomhook',
  'authorization: Bearer token',
]

afterEach(() => {
  vi.unstubAllEnvs()
})

test('S2-13: names and values of a hook put nothing on the wire but what is valid', async () => {
  await using server = await rawServer()
  using logs = new CapturedLogs()
  const hooks = createHeaderHooks({ shareSender: true })
  hooks.on('before_llm_request', (_event, { senderName = '' }) => ({
    headers: {
      [`X-Name${EVIL}`]: '1',
      'X-Value': EVIL,
      'X-Sender': senderName,
      'X-Encoded': encodeHeaderValue(senderName),
      'X-Fold': 'a\r\n b',
      'X-Nul': 'a\0b',
      'X-Line': 'a\u2028b',
      'X-Obs': 'caf\u00e9',
      Host: 'evil',
      'Content-Length': '5',
      'Transfer-Encoding': 'chunked',
      Connection: 'close',
      'X-LiveKit-Agent-Id': 'PA_evil',
      Authorization: 'Bearer evil',
      'X-Good': 'good',
    },
  }))
  await hooks.turn({ senderName: EVIL }, () => inferenceFetch({ baseURL: server.url, ...keys })('models'))
  const encoded = `X-Encoded: ${encodeHeaderValue(EVIL)}`
  expect(lines(server.bytes())).toEqual([...FETCH_LINES, encoded, 'X-Good: good'].sort())
  expect(logs.matching('warn')).toHaveLength(13)
  expect(logs.text()).not.toMatch(/canary|PA_evil|Bearer/)
})

test('S0-05: a room sid, job id, participant sid or worker token cannot break out of its line', async () => {
  await using server = await rawServer()
  using logs = new CapturedLogs()
  vi.stubEnv('LIVEKIT_WORKER_TOKEN', EVIL)
  const job = testJob()
  job.room.sid = EVIL
  job.id = EVIL
  job.liveRoom.localParticipant.sid = EVIL
  await inferenceFetch({ baseURL: server.url, ...keys, job })('models')
  expect(lines(server.bytes())).toEqual([...FETCH_LINES].sort())
  expect(logs.matching('warn', { reason: 'value-invalid' })).toHaveLength(4)
  expect(logs.text()).not.toContain('canary')
})

test('a caller of inferenceFetch cannot break out either', async () => {
  await using server = await rawServer()
  using logs = new CapturedLogs()
  const headers = { [`X-Name${EVIL}`]: '1', 'X-Value': EVIL, 'X-Good': 'good' }
  await inferenceFetch({ baseURL: server.url, ...keys })('models', { headers })
  expect(lines(server.bytes())).toEqual([...FETCH_LINES, 'X-Good: good'].sort())
  expect(logs.text()).not.toContain('canary')
})

test('S2-13, S0-05: the same for the upgrade of a socket', async () => {
  await using server = await rawServer()
  using logs = new CapturedLogs()
  const job = testJob()
  job.room.sid = EVIL
  const headers = {
    [`X-Name${EVIL}`]: '1',
    'X-Value': EVIL,
    'X-Good': 'good',
    Host: 'evil',
    'Sec-WebSocket-Protocol': 'x',
  }
  const options = { service: 'stt', baseURL: server.url, ...keys, job, headers, retry: false } as const
  await expect(inferenceSocket(options)).rejects.toMatchObject({ details: { statusCode: 200 } })
  const ids = ['x-livekit-job-id: AJ_b', 'x-livekit-agent-id: PA_b']
  expect(lines(server.bytes())).toEqual([...SOCKET_LINES, ...ids, 'x-good: good'].sort())
  expect(logs.text()).not.toContain('canary')
})
