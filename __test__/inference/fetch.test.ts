// inferenceFetch against the local gateway: the bytes on the wire, tokens, and everything that can go wrong on the way.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { RoomhookError } from '../../ts/index.js'
import { createHeaderHooks, type InferenceFetchOptions, inferenceFetch } from '../../ts/inference.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { attribution, runInJob, testJob } from '../support/inference-job.js'
import { CapturedLogs } from '../support/logs.js'

const AT_ONCE = { waitsMs: [0] }

function open(gateway: Gateway, options: InferenceFetchOptions = {}) {
  return inferenceFetch({ baseURL: gateway.url, ...gateway.keys, retry: AT_ONCE, ...options })
}

const chat = (body: object = { model: 'm', messages: [] }) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})

/** The fields that we are responsible for, in the order of the wire. */
function ours(gateway: Gateway, index = 0): [string, string][] {
  const transport = /^(?:host|connection|accept|accept-language|accept-encoding|sec-fetch-mode|content-length)$/i
  return (gateway.requests[index]?.fields ?? []).filter(([name]) => !transport.test(name))
}

const claimsOf = (authorization: string | undefined) =>
  JSON.parse(Buffer.from(authorization?.split('.')[1] ?? '', 'base64url').toString()) as Record<string, number>

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

describe('on the wire', () => {
  test('S0-08: an LLM request carries the metadata set, the token, provider and priority, and nothing else', async () => {
    await using gateway = await startGateway()
    vi.stubEnv('LIVEKIT_WORKER_TOKEN', 'worker-token')
    const ask = open(gateway, { provider: 'openai', priority: 'standard' })
    const response = await runInJob(testJob(), () => ask('chat/completions', chat()))
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'Hello there.' } }] })
    expect(ours(gateway)).toEqual([
      ['User-Agent', expect.stringMatching(/^roomhook\//)],
      ['Content-Type', 'application/json'],
      ...attribution(),
      ['X-LiveKit-Worker-Token', 'worker-token'],
      ['X-LiveKit-Inference-Provider', 'openai'],
      ['X-LiveKit-Inference-Priority', 'standard'],
      ['Authorization', expect.stringMatching(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)],
    ])
  })

  test('S0-08: an avatar request carries the same set, and its creation an Idempotency-Key that retries keep', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ path: '/avatar', status: 503, times: 2 }, { path: '/avatar', status: 201, times: 2 })
    const ask = open(gateway, { service: 'avatar', provider: 'tavus' })
    await runInJob(testJob(), () => ask('avatar/sessions', chat({ avatar: 'a' })))
    await runInJob(testJob(), () => ask('/avatar/sessions/s1/terminate', chat({})))
    const keys = gateway.requests.map((request) => request.header('idempotency-key'))
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), keys[0], keys[0], undefined])
    const metadata = [...attribution(), ['X-LiveKit-Inference-Provider', 'tavus']]
    for (const index of [0, 2, 3]) {
      expect(ours(gateway, index)).toEqual(expect.arrayContaining(metadata))
      expect(gateway.requests[index]?.header('content-type')).toBe('application/json')
    }
    await ask('avatar/sessions', { ...chat(), headers: { 'idempotency-key': 'mine' } })
    expect(gateway.requests[4]?.fields.filter(([name]) => /idempotency/i.test(name))).toEqual([
      ['idempotency-key', 'mine'],
    ])
  })

  test('S0-01: outside a job only User-Agent and the token are added', async () => {
    await using gateway = await startGateway()
    await open(gateway, { sessionId: true })('chat/completions', chat())
    expect(ours(gateway).map(([name]) => name)).toEqual(['User-Agent', 'Content-Type', 'Authorization'])
  })

  test('S0-06: the next request after a full reconnect carries the new sid, a retry too', async () => {
    await using gateway = await startGateway()
    const job = testJob()
    const ask = open(gateway, { job })
    await ask('chat/completions', chat())
    gateway.faults.push({
      status: 500,
      hold: Promise.resolve().then(() => (job.liveRoom.localParticipant.sid = 'PA_2')),
    })
    await ask('chat/completions', chat())
    job.liveRoom.isConnected = false
    await ask('chat/completions', chat())
    expect(gateway.requests.map((request) => request.header('x-livekit-agent-id'))).toEqual([
      'PA_b',
      'PA_b',
      'PA_2',
      undefined,
    ])
  })

  test('S0-09, S0-10: a caller replaces neither the SDK’s names nor its token; its priority beats the transport’s', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const ask = open(gateway, { job: testJob(), priority: 'low', provider: 'openai' })
    for (let round = 0; round < 2; round++) {
      await ask('chat/completions', {
        ...chat(),
        headers: { 'x-livekit-agent-id': 'canary', AUTHORIZATION: 'canary', 'x-livekit-inference-priority': 'canary' },
        inference: { priority: 'priority' },
      })
    }
    const [request] = gateway.requests
    expect(request?.status).toBe(200)
    for (const name of ['x-livekit-agent-id', 'authorization', 'x-livekit-inference-priority', 'user-agent']) {
      expect(request?.count(name), name).toBe(1)
    }
    expect(request?.header('x-livekit-inference-priority')).toBe('priority')
    expect(request?.header('x-livekit-inference-provider')).toBe('openai')
    // One warning for each name, however many requests follow.
    expect(logs.matching('warn', { reason: 'name-sdk-owned' }).map(({ fields }) => fields.header)).toEqual([
      'x-livekit-agent-id',
      'AUTHORIZATION',
      'x-livekit-inference-priority',
    ])
    expect(logs.text()).not.toContain('canary')
  })

  test('S0-11: extra_headers become headers and never appear in the body', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const ask = open(gateway)
    const extra = { extra_headers: { 'X-Extra': 'yes', authorization: 'no' }, extra_body: { a: 1 }, extra_query: {} }
    const body = { model: 'm', messages: [{ role: 'user', content: 'what is "extra_headers"?' }] }
    await ask('chat/completions', chat({ ...body, ...extra }))
    await ask('chat/completions', { ...chat(), body: Buffer.from(JSON.stringify({ ...body, ...extra })) })
    await ask('chat/completions', chat(body))
    for (const index of [0, 1]) {
      expect(gateway.requests[index]?.body).toEqual(body)
      expect(gateway.requests[index]?.header('x-extra')).toBe('yes')
      expect(gateway.requests[index]?.status).toBe(200)
    }
    expect(gateway.requests[2]?.body).toEqual(body)
    expect(logs.matching('warn').map(({ message }) => message)).toContain(
      'client arguments were taken out of a request body',
    )
  })

  test.each(['extra_headers', 'extra_body', 'extra_query'])(
    'S0-11: %s alone is taken out of a text and of bytes',
    async (name) => {
      await using gateway = await startGateway()
      using _logs = new CapturedLogs()
      const ask = open(gateway)
      const body = JSON.stringify({ model: 'm', messages: [], [name]: { 'X-Extra': 'yes' } })
      await ask('chat/completions', { ...chat(), body })
      await ask('chat/completions', { ...chat(), body: new TextEncoder().encode(body) })
      for (const request of gateway.requests) expect(request.body).toEqual({ model: 'm', messages: [] })
      expect(gateway.requests).toHaveLength(2)
    },
  )

  test('S0-13: where enabled each attempt has a fresh session id that nobody overrides', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ status: 500, times: 2 })
    const ask = open(gateway, { job: testJob(), sessionId: true })
    await ask('chat/completions', { ...chat(), headers: { 'X-LiveKit-Session-Id': 'mine' } })
    const ids = gateway.requests.map((request) => request.header('x-livekit-session-id'))
    expect(ids).toHaveLength(3)
    expect(new Set(ids).size).toBe(3)
    for (const id of ids) expect(id).toMatch(/^inference_[0-9a-f]{12}$/)
  })

  test('S0-16: two concurrent jobs never see each other’s ids', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    const work = async (name: string) => {
      for (let step = 0; step < 10; step++) {
        await new Promise((resolve) => setImmediate(resolve))
        await (await ask('chat/completions', chat({ model: name, messages: [] }))).text()
      }
    }
    const names = ['one', 'two', 'three']
    await Promise.all(names.map((name) => runInJob(testJob(name), () => work(name))))
    expect(gateway.requests).toHaveLength(30)
    for (const request of gateway.requests) {
      const { model } = request.body as { model: string }
      const ids = ['room', 'job', 'agent'].map((what) => request.header(`x-livekit-${what}-id`))
      expect(ids).toEqual([`RM_${model}`, `AJ_${model}`, `PA_${model}`])
    }
  })

  test('a Request, a URL and a text mean the same', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    const url = `${gateway.url}/chat/completions`
    for (const input of [url, new URL(url), '/chat/completions']) await ask(input, chat())
    await ask(new Request(url, { ...chat(), headers: { 'Content-Type': 'application/json', 'X-Mine': '1' } }))
    expect(gateway.requests.map(({ status, path }) => [status, path])).toEqual(
      Array.from({ length: 4 }, () => [200, '/chat/completions']),
    )
    expect(gateway.requests[3]?.header('x-mine')).toBe('1')
    expect(gateway.requests[3]?.body).toEqual({ model: 'm', messages: [] })
  })
})

describe('hooks on the wire', () => {
  test('S2-01: without handlers the request’s bytes are those of a build without the feature', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    await ask('chat/completions', chat())
    await createHeaderHooks().turn({}, () => ask('chat/completions', chat()))
    const silent = createHeaderHooks()
    silent.on('before_llm_request', () => ({ headers: {} }))
    await silent.turn({}, () => ask('chat/completions', chat()))
    const [first, second, third] = gateway.requests.map(({ head }) => head)
    expect(second).toBe(first)
    expect(third).toBe(first)
  })

  test('S2-02: what a handler returns is on the wire', async () => {
    await using gateway = await startGateway()
    const hooks = createHeaderHooks({ shareSender: true })
    hooks.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender-Id': senderId } }))
    await hooks.turn({ senderId: 'alice-7' }, () => open(gateway)('chat/completions', chat()))
    expect(ours(gateway)).toContainEqual(['X-Sender-Id', 'alice-7'])
  })

  test('S2-11: three calls of a turn run the handler once and carry its headers; overlapping turns keep theirs', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    const hooks = createHeaderHooks()
    const handler = vi.fn((event: { modelId: string }) => ({ headers: { 'X-Turn': event.modelId } }))
    hooks.on('before_llm_request', handler)
    const turn = (modelId: string) =>
      hooks.turn({ modelId }, async () => {
        for (let call = 0; call < 3; call++) await ask('chat/completions', chat({ model: modelId, messages: [] }))
      })
    gateway.faults.push({ status: 500, times: 1 })
    await Promise.all([turn('model-a'), turn('model-b')])
    expect(handler).toHaveBeenCalledTimes(2)
    await turn('model-c')
    expect(handler).toHaveBeenCalledTimes(3)
    expect(gateway.requests).toHaveLength(10)
    for (const request of gateway.requests) {
      expect(request.header('x-turn')).toBe((request.body as { model: string }).model)
    }
  })

  test('S2-12: a per-call header beats a hook’s in another case, with exactly one field on the wire', async () => {
    await using gateway = await startGateway()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers: { 'x-a': 'hook', 'USER-AGENT': 'hook/1' } }))
    await hooks.turn({}, () =>
      open(gateway)('chat/completions', { ...chat(), headers: { 'Content-Type': 'application/json', 'X-A': 'call' } }),
    )
    expect(ours(gateway).filter(([name]) => name.toLowerCase() === 'x-a')).toEqual([['X-A', 'call']])
    expect(ours(gateway).filter(([name]) => name.toLowerCase() === 'user-agent')).toEqual([['USER-AGENT', 'hook/1']])
  })

  test('hooks are for requests to models: an avatar request carries none of their headers', async () => {
    await using gateway = await startGateway()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers: { 'X-A': 'hook' } }))
    await hooks.turn({}, () => open(gateway, { service: 'avatar' })('avatar/sessions', chat()))
    expect(gateway.requests[0]?.count('x-a')).toBe(0)
  })

  test('an explicit turn and a scoped handler decide over the context', async () => {
    await using gateway = await startGateway()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', (event) => ({ headers: { 'X-Model': event.modelId } }))
    hooks.on('before_llm_request', () => ({ headers: { 'X-Here': 'here-1' } }), { baseURLs: [gateway.url] })
    hooks.on('before_llm_request', () => ({ headers: { 'X-There': '1' } }), { baseURLs: ['https://elsewhere.example'] })
    hooks.on('before_llm_request', () => ({ headers: { 'X-LiveKit': '1' } }), { providers: ['livekit'] })
    const turn = await hooks.begin({ modelId: 'explicit' })
    const ask = open(gateway)
    await hooks.turn({ modelId: 'ambient' }, () => ask('chat/completions', { ...chat(), inference: { turn } }))
    expect(ours(gateway)).toEqual(
      expect.arrayContaining([
        ['X-Model', 'explicit'],
        ['X-Here', 'here-1'],
        ['X-LiveKit', '1'],
      ]),
    )
    expect(gateway.requests[0]?.count('x-there')).toBe(0)
  })
})

describe('tokens', () => {
  test('S0-15: a second request after the TTL uses a new token; until then one is shared', async () => {
    await using gateway = await startGateway()
    vi.useFakeTimers({ toFake: ['Date'] })
    gateway.now = Date.now
    const ask = open(gateway)
    await ask('chat/completions', chat())
    vi.setSystemTime(Date.now() + 500_000)
    await ask('chat/completions', chat())
    vi.setSystemTime(Date.now() + 101_000)
    await ask('chat/completions', chat())
    const tokens = gateway.requests.map((request) => request.header('authorization'))
    expect(gateway.requests.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(tokens[1]).toBe(tokens[0])
    expect(tokens[2]).not.toBe(tokens[0])
    const claims = claimsOf(tokens[2])
    expect((claims.exp ?? 0) - (claims.nbf ?? 0)).toBe(600)
    expect(claims).toMatchObject({ iss: 'gateway-key', sub: 'agent', inference: { perform: true } })
    expect(Object.keys(claims).sort()).toEqual(['exp', 'inference', 'iss', 'jti', 'nbf', 'sub'])
  })

  test('a refused token is replaced once, and the request made again', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    await ask('chat/completions', chat())
    const first = gateway.requests[0]?.header('authorization') ?? ''
    gateway.revoked.add(first)
    expect((await ask('chat/completions', chat())).status).toBe(200)
    expect(gateway.requests.map(({ status }) => status)).toEqual([200, 401, 200])
    expect(gateway.requests[2]?.header('authorization')).not.toBe(first)
  })

  test('a key that is wrong is a 401 after exactly one replacement', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway, { apiSecret: 'another-secret-of-at-least-32-bytes' })
    expect((await ask('chat/completions', chat())).status).toBe(401)
    expect(gateway.requests).toHaveLength(2)
  })

  test('requests refused together share one replacement', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    await ask('chat/completions', chat())
    gateway.revoked.add(gateway.requests[0]?.header('authorization') ?? '')
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask('chat/completions', chat())))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    const used = new Set(gateway.requests.map((request) => request.header('authorization')))
    expect(used.size).toBe(2)
  })

  test('a body that cannot be sent twice is not sent twice', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 500 })
    const body = new Blob([chat().body]).stream()
    const response = await open(gateway)('chat/completions', { ...chat(), body, duplex: 'half' } as RequestInit)
    expect(response.status).toBe(500)
    expect(gateway.requests).toHaveLength(1)
    expect(gateway.requests[0]?.body).toEqual({ model: 'm', messages: [] })
  })
})

describe('retries', () => {
  test.each([408, 429, 499, 500, 503])('a %i is tried again with the same body', async (status) => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ status, times: 2 })
    const response = await open(gateway)('chat/completions', chat())
    expect(response.status).toBe(200)
    expect(gateway.requests.map((request) => request.status)).toEqual([status, status, 200])
    expect(gateway.requests[2]?.body).toEqual({ model: 'm', messages: [] })
  })

  test.each([400, 403, 404, 409, 422])('a %i is the answer', async (status) => {
    await using gateway = await startGateway()
    gateway.faults.push({ status })
    expect((await open(gateway)('chat/completions', chat())).status).toBe(status)
    expect(gateway.requests).toHaveLength(1)
  })

  test('after three retries the last response is returned, whole', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    gateway.faults.push({ status: 503, times: 9, body: { error: { message: 'busy' } } })
    const response = await open(gateway)('chat/completions', chat())
    expect(await response.json()).toEqual({ error: { message: 'busy' } })
    expect(gateway.requests).toHaveLength(4)
    expect(logs.matching('info').map(({ fields }) => fields)).toEqual([
      { attempt: 1, waitMs: 0, status: 503 },
      { attempt: 2, waitMs: 0, status: 503 },
      { attempt: 3, waitMs: 0, status: 503 },
    ])
  })

  test('retry: false makes one attempt and lets failures pass unchanged', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 500 }, { hangUp: true })
    const ask = open(gateway, { retry: false })
    expect((await ask('chat/completions', chat())).status).toBe(500)
    await expect(ask('chat/completions', chat())).rejects.toMatchObject({ name: 'TypeError', message: 'fetch failed' })
    expect(gateway.requests).toHaveLength(2)
  })

  test('a connection that is cut is tried again, and one that never comes is a ConnectionError', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ hangUp: true, times: 2 })
    const ask = open(gateway)
    expect((await ask('chat/completions', chat())).status).toBe(200)
    expect(gateway.requests).toHaveLength(3)
    gateway.faults.push({ hangUp: true, times: 9 })
    const error = await ask('chat/completions', chat()).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'ConnectionError', code: 'TRANSPORT_FAILED', retryable: true })
    expect(error).toMatchObject({ details: { attempts: 4 }, cause: { name: 'TypeError' } })
  })

  test('Retry-After lengthens the wait, and one beyond the limit ends the call', async () => {
    vi.useFakeTimers()
    using _logs = new CapturedLogs()
    const answers = [429, 503, 429, 200].map((status, at) => {
      const after = ['3', new Date(Date.now() + 5000).toUTCString(), '0.5', ''][at] ?? ''
      return new Response(null, { status, headers: { 'Retry-After': after } })
    })
    const times: number[] = []
    const started = Date.now()
    const send = vi.fn(async () => {
      times.push(Date.now() - started)
      return answers.shift() ?? Response.error()
    })
    const keys = { baseURL: 'https://gateway.example', apiKey: 'k', apiSecret: 's' }
    const response = inferenceFetch({ ...keys, fetch: send })('chat', chat())
    await vi.runAllTimersAsync()
    expect((await response).status).toBe(200)
    // 3 s as asked; the date says 5 s after the start, which is within the 2 s of the schedule; 0.5 is no valid value.
    expect(times).toEqual([0, 3000, 5000, 7000])
    const busy = vi.fn(async () => new Response(null, { status: 429, headers: { 'Retry-After': '61' } }))
    const given = await inferenceFetch({ ...keys, fetch: busy })('chat', chat())
    expect([given.status, busy.mock.calls.length, vi.getTimerCount()]).toEqual([429, 1, 0])
  })

  test('an attempt without an answer times out and is tried again', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    const never = new Promise(() => undefined)
    gateway.faults.push({ hold: never, times: 2 })
    const ask = open(gateway, { timeoutMs: 50 })
    const repeatable = { ...chat(), headers: { 'Idempotency-Key': 'mine' } }
    expect((await ask('chat/completions', repeatable)).status).toBe(200)
    await gateway.requests[0]?.gone
    gateway.faults.push({ hold: never, times: 9 })
    const error = await ask('chat/completions', repeatable).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'TIMED_OUT', retryable: true })
    expect(RoomhookError.isInstance(error)).toBe(true)
    expect(gateway.requests).toHaveLength(7)
  })

  test('a fetch that ignores its signal does not outlive the timeout', async () => {
    const given = {
      baseURL: 'https://gateway.example',
      apiKey: 'k',
      apiSecret: 's',
      retry: false,
      timeoutMs: 1,
    } as const
    const ask = inferenceFetch({ ...given, fetch: () => new Promise<Response>(() => undefined) })
    await expect(ask('chat')).rejects.toMatchObject({ code: 'TIMED_OUT' })
  })
})

describe('quotas', () => {
  test('what the gateway says is on the response, and logged on a 429', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const headers = {
      'X-LiveKit-Inference-RPM-Limit': '60',
      'x-livekit-inference-rpm-used': '60',
      'X-LiveKit-Inference-Credits-Used': '0.25',
    }
    gateway.faults.push({ status: 429, headers, times: 4 })
    const ask = open(gateway)
    const response = await ask('chat/completions', chat())
    expect(response.quota).toEqual({ rpmLimit: 60, rpmUsed: 60, creditsUsed: 0.25 })
    expect(logs.matching('warn', { rpmLimit: 60, rpmUsed: 60 })).toHaveLength(4)
    expect((await ask('chat/completions', chat())).quota).toBeUndefined()
  })
})

describe('streams and signals', () => {
  test('a streamed answer passes through as it comes, and can be aborted in the middle', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    const whole = await ask('chat/completions', chat({ model: 'm', stream: true, messages: [] }))
    expect(whole.body).toBeInstanceOf(ReadableStream)
    expect((await whole.text()).trimEnd().endsWith('data: [DONE]')).toBe(true)
    const abort = new AbortController()
    const response = await ask('chat/completions', {
      ...chat({ model: 'm', stream: true, messages: [] }),
      signal: abort.signal,
    })
    abort.abort()
    await expect(response.text()).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('an abort ends the wait for an answer and the wait before a retry with the signal’s reason', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    const reason = new Error('no longer needed')
    gateway.faults.push({ hold: new Promise(() => undefined) }, { status: 500 })
    const ask = open(gateway, { retry: { waitsMs: [3_600_000] } })
    const first = new AbortController()
    const waiting = ask('chat/completions', { ...chat(), signal: first.signal })
    const held = await gateway.request(0)
    first.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await held.gone
    const second = new AbortController()
    const pausing = ask('chat/completions', { ...chat(), signal: second.signal })
    await gateway.request(1)
    second.abort(reason)
    await expect(pausing).rejects.toBe(reason)
    await expect(ask('chat/completions', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(gateway.requests).toHaveLength(2)
  })
})

describe('other origins', () => {
  test('a request to another origin is passed on as it is', async () => {
    await using gateway = await startGateway()
    await using other = await startGateway()
    other.judge = false
    const ask = open(gateway, { job: testJob(), provider: 'openai' })
    for (const input of [`${other.url}/x`, new URL(`${other.url}/x`), new Request(`${other.url}/x`)]) await ask(input)
    expect(other.requests).toHaveLength(3)
    for (const request of other.requests) {
      expect(request.fields.filter(([name]) => /authorization|livekit/i.test(name))).toEqual([])
      expect(request.header('user-agent')).toBe('node')
    }
    expect(gateway.requests).toEqual([])
  })

  test('a redirect is the answer: it is not followed with the token', async () => {
    await using gateway = await startGateway()
    const seen: unknown[] = []
    const other = createServer((request, response) => {
      seen.push(request.headers)
      response.end()
    }).listen(0, '127.0.0.1')
    try {
      await new Promise((resolve) => other.once('listening', resolve))
      const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`
      gateway.faults.push({ status: 307, headers: { location }, times: 2 })
      const ask = open(gateway)
      expect((await ask('chat/completions', chat())).status).toBe(307)
      expect((await ask('chat/completions', { ...chat(), redirect: 'follow' })).status).toBe(307)
      expect(seen).toEqual([])
    } finally {
      other.close()
    }
  })
})

describe('wrong arguments', () => {
  const keys = { apiKey: 'k', apiSecret: 's' }
  test.each([
    [null],
    [5],
    [{ apikey: 'k' }],
    [{ baseURL: 'https://gateway.example?x=1' }],
    [{ baseURL: 5 }],
    [{ apiKey: null }],
    [{ fetch: 'fetch' }],
    [{ service: 'stt' }],
    [{ retry: true }],
    [{ retry: { maxRetries: -1 } }],
    [{ retry: { waitsMs: [Number.NaN] } }],
    [{ retry: { waitsMs: 5 } }],
    [{ retry: { jitter: 2 } }],
    [{ timeoutMs: 0 }],
    [{ timeoutMs: 1.5 }],
    [{ tokenTtlSeconds: 5 }],
    [{ priority: 'high' }],
    [{ provider: 'a\nb' }],
    [{ job: 5 }],
    [{ turn: {} }],
    [{ room: null }],
    [{ sessionId: 1 }],
  ])('inferenceFetch(%j)', (options) => {
    const given = options === null || typeof options !== 'object' ? options : { ...keys, ...options }
    expect(() => inferenceFetch(given as object)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  test('an unknown priority of a call, headers that are none, and an input that is none', async () => {
    await using gateway = await startGateway()
    const ask = open(gateway)
    const wrong = { code: 'CONFIG_INVALID' }
    await expect(ask('chat', { inference: { priority: 'high' as 'low' } })).rejects.toMatchObject(wrong)
    await expect(ask('chat', { inference: { prio: 'low' } as object })).rejects.toMatchObject(wrong)
    await expect(ask('chat', { headers: 5 as unknown as Headers })).rejects.toMatchObject(wrong)
    await expect(ask(5 as unknown as string)).rejects.toMatchObject(wrong)
    await expect(ask(null as unknown as string)).rejects.toMatchObject(wrong)
    expect(gateway.requests).toEqual([])
  })

  test('a fetch that answers something else is named', async () => {
    const given = { baseURL: 'https://gateway.example', ...keys }
    const ask = inferenceFetch({ ...given, fetch: (async () => undefined) as unknown as typeof fetch })
    await expect(ask('chat')).rejects.toMatchObject({ code: 'HOOK_RETURN_INVALID' })
    const throwing = inferenceFetch({
      ...given,
      fetch: () => {
        throw new TypeError('mine')
      },
    })
    await expect(throwing('chat')).rejects.toThrow('mine')
  })
})
