// What the end of one attempt means: what is sent again, what never is, how long it may take, and what is left behind.
// Real servers, except where only a `fetch` of somebody else's can misbehave in this way.

import { getEventListeners, once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type InferenceFetchOptions, inferenceFetch } from '../../ts/inference.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { CapturedLogs } from '../support/logs.js'

const keys = { apiKey: 'key', apiSecret: 'secret' }
const elsewhere = { baseURL: 'https://gateway.example/v1', ...keys }

function open(gateway: Gateway, options: InferenceFetchOptions = {}) {
  return inferenceFetch({ baseURL: gateway.url, ...gateway.keys, retry: { waitsMs: [0] }, ...options })
}

const post = (body: object = { model: 'm', messages: [] }) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})

/** A `fetch` that never answers, and how often it was called. */
function deaf() {
  return vi.fn((_input: unknown, _init?: RequestInit) => new Promise<Response>(() => undefined))
}

/** Lets the time of a request pass that has reached the gateway. */
async function slow(gateway: Gateway, index: number): Promise<void> {
  await gateway.request(index)
  await vi.advanceTimersByTimeAsync(1500)
}

/** A server whose answers are written by the test. */
async function scripted(answer: (response: ServerResponse) => void) {
  const gone: Promise<unknown>[] = []
  const server = createServer((request, response) => {
    gone.push(once(response, 'close'))
    request.resume().on('end', () => answer(response))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    gone,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('slowness', () => {
  test('F-A5: a POST that may have been taken is not sent again because its answer is slow', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ hold: new Promise(() => undefined), times: 9 })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answer = open(gateway, { timeoutMs: 1000 })('chat/completions', post()).catch((thrown: unknown) => thrown)
    await slow(gateway, 0)
    expect(await answer).toMatchObject({ code: 'TIMED_OUT', retryable: true, details: { timeoutMs: 1000 } })
    expect(gateway.requests).toHaveLength(1)
    await gateway.requests[0]?.gone
  })

  test.each([
    ['a GET', 'models', {}],
    ['a POST with an Idempotency-Key', 'chat/completions', { method: 'POST', headers: { 'idempotency-key': 'k' } }],
  ])('F-A5: %s does no work twice, so it is sent again', async (_what, path, init) => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ hold: new Promise(() => undefined), times: 2 }, { status: 200, body: {} })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const answer = open(gateway, { timeoutMs: 1000 })(path, init)
    await slow(gateway, 0)
    await slow(gateway, 1)
    expect((await answer).status).toBe(200)
    expect(gateway.requests).toHaveLength(3)
    await gateway.requests[0]?.gone
  })

  test.each([
    ['an answer that is complete when it begins', post(), 300_000],
    ['a streamed answer', post({ model: 'm', stream: true }), 10_000],
    ['a streamed answer to bytes', { ...post(), body: Buffer.from('{"stream": true}') }, 10_000],
    ['a word in a prompt', post({ prompt: '"stream":true' }), 300_000],
    ['a form', { method: 'POST', body: new FormData() }, 300_000],
    ['a question without work', {}, 10_000],
  ])('F-A5: %s may take its time by default', async (_what, init, limit) => {
    vi.useFakeTimers()
    const send = deaf()
    const answer = inferenceFetch({ ...elsewhere, fetch: send, retry: { maxRetries: 0 } })('chat', init)
    const settled = vi.fn()
    answer.catch(settled)
    await vi.advanceTimersByTimeAsync(limit - 1)
    expect(settled).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await expect(answer).rejects.toMatchObject({ code: 'TIMED_OUT', details: { timeoutMs: limit } })
    expect(send).toHaveBeenCalledTimes(1)
  })

  test('F-A5: what gives up by itself before us is slow too, not lost', async () => {
    const cause = Object.assign(new Error('Headers Timeout Error'), { code: 'UND_ERR_HEADERS_TIMEOUT' })
    const send = vi.fn(async () => Promise.reject(new TypeError('fetch failed', { cause })))
    for (const retry of [{}, false] as const) {
      const ask = inferenceFetch({ ...elsewhere, fetch: send, retry })
      await expect(ask('chat', post())).rejects.toMatchObject({ code: 'TIMED_OUT', retryable: true })
    }
    expect(send).toHaveBeenCalledTimes(2)
  })
})

describe('redirects and arguments', () => {
  test('F-A10: with redirect: "error" a redirect is an error after one request', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 307, headers: { location: '/elsewhere' }, times: 9 })
    const ask = open(gateway)
    const error = await ask('chat/completions', { ...post(), redirect: 'error' }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'TRANSPORT_FAILED', retryable: false, details: { statusCode: 307 } })
    const request = new Request(`${gateway.url}/chat/completions`, { ...post(), redirect: 'error' })
    await expect(ask(request)).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', retryable: false })
    expect(gateway.requests).toHaveLength(2)
  })

  test.each(['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'UND_ERR_INVALID_ARG', undefined])(
    'F-A10: a failure that stays (%s) is not tried again',
    async (code) => {
      const failure = new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code }) })
      const send = vi.fn(async () => Promise.reject(failure))
      await expect(inferenceFetch({ ...elsewhere, fetch: send })('chat', post())).rejects.toBe(failure)
      expect(send).toHaveBeenCalledTimes(1)
    },
  )

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [5, 'the number 5'],
    [{}, 'an object'],
  ])('F-A10: the input %j is called what it is', async (input, named) => {
    const ask = inferenceFetch(elsewhere)
    const message = `input must be a string, a URL or a Request, got ${named}`
    await expect(ask(input as unknown as string)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message })
  })

  test('F-A10: a Request with a body is tried again, and its token replaced, like any other call', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    const ask = open(gateway)
    const body = { model: 'm', messages: [] }
    const request = () => new Request(`${gateway.url}/chat/completions`, post(body))
    gateway.faults.push({ status: 503, times: 2 })
    expect((await ask(request())).status).toBe(200)
    expect(gateway.requests.map(({ status }) => status)).toEqual([503, 503, 200])
    gateway.revoked.add(gateway.requests[0]?.header('authorization') ?? '')
    expect((await ask(request())).status).toBe(200)
    expect(gateway.requests.map(({ status }) => status).slice(3)).toEqual([401, 200])
    for (const sent of gateway.requests) expect(sent.body).toEqual(body)
  })

  test('F-A10: a Request’s body is cleaned of stray arguments too', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    const body = { model: 'm', messages: [], extra_headers: { 'X-Extra': 'yes' } }
    await open(gateway)(new Request(`${gateway.url}/chat/completions`, post(body)))
    expect(gateway.requests[0]?.body).toEqual({ model: 'm', messages: [] })
    expect(gateway.requests[0]?.header('x-extra')).toBe('yes')
  })
})

describe('an answer that stops in the middle', () => {
  const begin = (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
  }

  test.each([
    ['its reader', (response: Response) => response.body?.pipeTo(new WritableStream())],
    ['text()', (response: Response) => response.text()],
    ['a clone', (response: Response) => response.clone().text()],
  ])('F-A13: %s fails after the idle bound, and the connection is given back', async (_how, read) => {
    await using server = await scripted(begin)
    const ask = inferenceFetch({ baseURL: server.url, ...keys, idleTimeoutMs: 50 })
    const response = await ask('chat', post({ stream: true }))
    await expect(read(response)).rejects.toMatchObject({
      code: 'TIMED_OUT',
      retryable: true,
      details: { timeoutMs: 50 },
    })
    await server.gone[0]
  })

  test('F-A13: the bound holds whatever fetch it is', async () => {
    const cancelled = vi.fn()
    const send = async () =>
      new Response(
        new ReadableStream(
          { start: (pieces) => pieces.enqueue(new Uint8Array(1)), cancel: cancelled },
          { highWaterMark: 1 },
        ),
      )
    const response = await inferenceFetch({ ...elsewhere, fetch: send, idleTimeoutMs: 20 })('chat', post())
    await expect(response.arrayBuffer()).rejects.toMatchObject({ code: 'TIMED_OUT' })
    expect(cancelled).toHaveBeenCalledTimes(1)
  })

  test('F-A13: the default bound is 60 s, counted from the last piece, and only while somebody reads', async () => {
    vi.useFakeTimers()
    let push = (): void => undefined
    const body = new ReadableStream({
      start: (pieces) => {
        push = () => pieces.enqueue(new Uint8Array(1))
      },
    })
    const response = await inferenceFetch({ ...elsewhere, fetch: async () => new Response(body) })('chat', post())
    await vi.advanceTimersByTimeAsync(600_000)
    const reader = response.body?.getReader()
    for (let piece = 0; piece < 3; piece++) {
      const reading = reader?.read()
      await vi.advanceTimersByTimeAsync(59_999)
      push()
      expect(await reading).toMatchObject({ done: false })
    }
    await vi.advanceTimersByTimeAsync(600_000)
    const last = reader?.read()
    const failed = expect(last).rejects.toMatchObject({ code: 'TIMED_OUT', details: { timeoutMs: 60_000 } })
    await vi.advanceTimersByTimeAsync(60_000)
    await failed
  })

  test('F-A13: an answer keeps what fetch says of it', async () => {
    await using server = await scripted((response) => {
      begin(response)
      response.end('data: 2\n\n')
    })
    const response = await inferenceFetch({ baseURL: server.url, ...keys })('chat', post())
    expect(response).toBeInstanceOf(Response)
    expect(response.url).toBe(`${server.url}/chat`)
    expect([response.status, response.ok, response.redirected]).toEqual([200, true, false])
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n')
    expect(response.bodyUsed).toBe(true)
  })

  test('F-A13: cancelling what was read in part gives the connection back', async () => {
    await using server = await scripted(begin)
    const response = await inferenceFetch({ baseURL: server.url, ...keys })('chat', post())
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    await server.gone[0]
  })
})

describe('nothing is left behind', () => {
  test('a signal that outlives its calls keeps none of them', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    const ask = open(gateway)
    const { signal } = new AbortController()
    gateway.faults.push({ status: 500 }, { hangUp: true })
    for (let call = 0; call < 5; call++) await (await ask('chat/completions', { ...post(), signal })).text()
    // What fetch itself listens with is its own; ours would be one more for each attempt.
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })

  test('a fetch that ignores its signal does not outlive the caller’s patience', async () => {
    const abort = new AbortController()
    const reason = new Error('no longer needed')
    const answer = inferenceFetch({ ...elsewhere, fetch: deaf() })('chat', { ...post(), signal: abort.signal })
    setImmediate(() => abort.abort(reason))
    await expect(answer).rejects.toBe(reason)
  })

  test('an answer that comes too late is discarded, whatever kind of body it has', async () => {
    const late = vi.fn()
    let answer = (_response: unknown): void => undefined
    const send = () => new Promise<never>((resolve) => (answer = resolve as typeof answer))
    const ask = inferenceFetch({ ...elsewhere, fetch: send, timeoutMs: 1, retry: false })
    for (const body of [{ cancel: late }, { cancel: () => Promise.reject(new Error('no')) }, { pipe: () => 1 }, null]) {
      await expect(ask('chat')).rejects.toMatchObject({ code: 'TIMED_OUT' })
      answer({ status: 200, body })
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(late).toHaveBeenCalledTimes(1)
  })
})
