// A canary run: unique markers in every secret and personal input, every path that can fail, all records at trace level,
// those of the native core and of LiveKit's media library included.
// No marker may be in a log record or in the message of an error.

import { afterEach, expect, test, vi } from 'vitest'
import { Room, RoomhookError } from '../../ts/index.js'
import { createHeaderHooks, inferenceFetch, inferenceHeaders, inferenceSocket } from '../../ts/inference.js'
import { startGateway } from '../support/gateway.js'
import { testJob } from '../support/inference-job.js'
import { CapturedLogs } from '../support/logs.js'
import { COMPLAINT, RudeServer } from '../support/rude-server.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** The error's own text, and the texts of what caused it. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const details = RoomhookError.isInstance(error) ? JSON.stringify(error.details ?? {}) : ''
  return `${error.stack} ${details} ${error.cause === undefined ? '' : textOf(error.cause)}`
}

test('S0-07, S2-18: no header value, token or key reaches a log line or an error', async () => {
  await using gateway = await startGateway()
  using logs = new CapturedLogs()
  vi.stubEnv('LIVEKIT_WORKER_TOKEN', 'canary-worker-token')
  const job = testJob('canary-job')
  const secrets = { apiKey: 'canary-key', apiSecret: 'canary-secret-of-thirty-two-bytes' }
  const headers = { 'X-Mine': 'canary-value', Authorization: 'Bearer canary-token', 'X-Bad': 'canary\r\nvalue' }
  const errors: unknown[] = []
  const attempt = async (run: () => unknown): Promise<void> => {
    try {
      await run()
    } catch (error) {
      errors.push(error)
    }
  }

  const hooks = createHeaderHooks({ shareSender: true, hashKey: 'canary-hash-key-of-sixteen', timeoutMs: 20 })
  hooks.on('before_llm_request', (_event, { senderId }) => ({
    headers: { 'X-Sender': senderId, 'X-Hook': 'canary-hook' },
  }))
  hooks.on('before_llm_request', () => ({
    headers: { 'X-Bad\r\n': 'canary', 'X-Other': 'canary\n', authorization: 'canary' },
  }))
  hooks.on('before_llm_request', (event) => {
    throw new Error(`failed with ${event.headers['X-Hook']}`)
  })
  hooks.on('before_llm_request', () => new Promise(() => undefined))
  hooks.on('before_llm_request', () => 'canary' as never)
  const speaker = { senderId: 'canary-sender', senderName: 'canary-name', sessionKey: 'canary-session' }

  const retry = { maxRetries: 1, waitsMs: [0] }
  const options = { baseURL: gateway.url, ...secrets, job, retry, timeoutMs: 200, sessionId: true }
  const ask = inferenceFetch(options)
  const body = JSON.stringify({ messages: ['canary-prompt'], extra_headers: { 'X-Extra': 'canary' } })
  const init = { method: 'POST', headers, body }
  const quota = { 'X-LiveKit-Inference-RPM-Limit': '5' }
  const never = new Promise(() => undefined)
  for (const fault of [{ status: 429, headers: quota }, { status: 500 }, { hangUp: true }, { hold: never }]) {
    gateway.faults.push({ ...fault, times: 2 })
    await attempt(() => hooks.turn(speaker, () => ask('chat/completions', init)))
    gateway.faults.push({ ...fault, times: 2 })
    const socket = { service: 'stt', query: { model: 'canary-model' }, headers, connectTimeoutMs: 200 } as const
    await attempt(() => inferenceSocket({ baseURL: gateway.url, ...secrets, job, retry, ...socket }))
    gateway.faults.length = 0
  }
  await attempt(() => ask('chat/completions', init))
  await attempt(() => inferenceHeaders(job, { headers }))
  await attempt(() => inferenceHeaders(job, { provider: 'canary\n' }))
  await attempt(() => inferenceHeaders(job, { priority: 'canary' as 'low' }))
  await attempt(() => inferenceFetch({ ...secrets, baseURL: 'https://canary:canary@gateway.example' }))
  await attempt(() => inferenceFetch({ ...secrets, baseURL: 'https://gateway.example?key=canary' }))
  await attempt(() => createHeaderHooks({ hashKey: 'canary' }))
  const strict = createHeaderHooks({ shareSender: true, catchErrors: false })
  strict.on('before_llm_request', () => Promise.reject(new Error('no')))
  await attempt(() => strict.turn(speaker, () => undefined))

  // A room: the media library writes down its request, the token with it.
  const room = new Room()
  await attempt(() => room.connect(gateway.url.replace('http', 'ws'), 'canary-token'))

  // A socket that opens, carries headers and messages, and whose end the core has something to say about.
  await using rude = await RudeServer.start()
  const open = { service: 'tts', baseURL: rude.url, ...secrets, job, headers, closeTimeoutMs: 20 } as const
  const socket = await inferenceSocket({ ...open, query: { model: 'canary-model' } })
  socket.send('canary-message')
  await socket.close(4000, 'canary-reason')
  await logs.until(COMPLAINT)
  const targets = new Set(logs.records.map(({ fields }) => fields.target))
  expect(targets).toContain('roomhook::net::ws')
  expect(targets).toContain('roomhook::engine::library')
  expect(logs.text()).toContain('authorization: [hidden]')

  expect(logs.records.length).toBeGreaterThan(20)
  expect(errors.length).toBeGreaterThan(8)
  expect(gateway.requests.some((request) => request.head.includes('canary'))).toBe(true)
  expect(logs.text()).not.toMatch(/canary/i)
  for (const error of errors) expect(textOf(error)).not.toMatch(/canary/i)
  const sent = gateway.requests.filter(({ path }) => !path.startsWith('/rtc'))
  const tokens = sent.map((request) => request.header('authorization')?.slice('Bearer '.length) ?? '')
  for (const token of new Set(tokens)) {
    expect(token.length).toBeGreaterThan(20)
    expect(logs.text()).not.toContain(token)
  }
})
