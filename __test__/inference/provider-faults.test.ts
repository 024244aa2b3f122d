// How `livekit()` fails, under both majors of the AI SDK: what is retried and by whom, what a broken stream leaves behind,
// and what no error says.

import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { ConfigError, ConnectionError, RoomhookError } from '../../ts/base/errors.js'
import type { LogRecord } from '../../ts/base/log.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { listen } from '../support/suite-log.js'
import { jobOf } from './ai-fakes.js'

const prompt = 'A secret question.'
const AT_ONCE = { 'retry-after-ms': '1' }

const records: LogRecord[] = []
listen((record) => records.push(record))
afterEach(() => {
  records.length = 0
  vi.unstubAllEnvs()
})

function modelFor(gateway: Gateway, settings: object = {}) {
  return livekit({ ...gateway.keys, baseURL: gateway.url, ...settings })('openai/gpt-4o')
}

async function failure(call: PromiseLike<unknown>): Promise<Record<string, unknown> & Error> {
  return call.then(
    () => expect.fail('the call succeeded'),
    (error) => error,
  ) as Promise<Record<string, unknown> & Error>
}

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test('a revoked token is replaced once, without the SDK’s help', async () => {
    await using gateway = await startGateway()
    const model = modelFor(gateway)
    await sdk.ai.generateText({ model, prompt })
    gateway.revoked.add(gateway.requests[0]?.header('authorization') ?? '')
    await sdk.ai.generateText({ model, prompt, maxRetries: 0 })
    expect(gateway.requests.map(({ status }) => status)).toEqual([200, 401, 200])
    const [, refused, accepted] = gateway.requests.map((request) => request.header('authorization'))
    expect(accepted).not.toBe(refused)
  })

  test('wrong keys are an error that names them, and are not retried', async () => {
    await using gateway = await startGateway()
    const error = await failure(
      sdk.ai.generateText({ model: modelFor(gateway, { apiSecret: 'wrong-secret' }), prompt }),
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', statusCode: 401, isRetryable: false })
    expect(error.message).toContain('check apiKey and apiSecret')
    expect(gateway.requests.length).toBe(2)
  })

  test('S0-13: 500 twice is retried by the SDK alone, each attempt with a session id of its own', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 500, times: 2, headers: AT_ONCE })
    const model = modelFor(gateway, { job: jobOf('a'), sessionId: true })
    await sdk.ai.generateText({ model, prompt, maxRetries: 2 })
    expect(gateway.requests.map(({ status }) => status)).toEqual([500, 500, 200])
    const ids = gateway.requests.map((request) => request.header('x-livekit-session-id'))
    expect(new Set(ids).size).toBe(3)
    for (const id of ids) expect(id).toMatch(/^inference_[0-9a-f]{12}$/)
  })

  test('there is exactly one retry layer: maxRetries of the call', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 503, times: 10, headers: AT_ONCE })
    const error = await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 1 }))
    expect(error.name).toBe('AI_RetryError')
    expect(error.lastError).toBeInstanceOf(ConnectionError)
    expect(gateway.requests.length).toBe(2)
  })

  test('429 says what the quota is, and that waiting helps', async () => {
    await using gateway = await startGateway()
    const headers = { 'X-LiveKit-Inference-RPM-Limit': '10', 'X-LiveKit-Inference-RPM-Used': '11', 'Retry-After': '3' }
    gateway.faults.push({ status: 429, headers })
    const error = await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 }))
    expect(error).toMatchObject({
      code: 'TRANSPORT_FAILED',
      statusCode: 429,
      isRetryable: true,
      responseHeaders: {
        'retry-after': '3',
        'x-livekit-inference-rpm-limit': '10',
        'x-livekit-inference-rpm-used': '11',
      },
    })
  })

  test('a connection that ends without an answer can be retried', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ hangUp: true })
    const error = await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 }))
    expect(error).toBeInstanceOf(ConnectionError)
    expect(error).toMatchObject({ code: 'TRANSPORT_FAILED', isRetryable: true })
  })

  test('F-A5: a gateway that does not begin to answer is left after timeoutMs, and not asked again: it may be at work', async () => {
    await using gateway = await startGateway()
    let release = () => {}
    gateway.faults.push({ times: 9, hold: new Promise<void>((resolve) => (release = resolve)) })
    const model = modelFor(gateway, { timeoutMs: 50 })
    const error = await failure(sdk.ai.generateText({ model, prompt }))
    const streamed = await failure(model.doStream({ prompt: [] }))
    release()
    // Not `TimeoutError`: the AI SDK would take that for the caller's own.
    const timedOut = { name: 'ConnectionError', code: 'TIMED_OUT', retryable: false, isRetryable: false }
    expect(error).toMatchObject(timedOut)
    expect(error.message).toContain('timeoutMs')
    expect(streamed).toMatchObject(timedOut)
    expect(gateway.requests.length).toBe(2)
  })

  test('an abort closes the request of a slow stream', async () => {
    await using gateway = await startGateway()
    gateway.chat = { text: ['one', 'two'], hold: (index) => (index < 2 ? Promise.resolve() : new Promise(() => {})) }
    const abort = new AbortController()
    const result = sdk.ai.streamText({ model: modelFor(gateway), prompt, abortSignal: abort.signal, onError() {} })
    const read: string[] = []
    for await (const part of result.fullStream as AsyncIterable<{ type: string; text?: string }>) {
      if (part.type === 'text-delta') {
        read.push(part.text ?? '')
        abort.abort()
      }
    }
    expect(read).toEqual(['one'])
    await (await gateway.request(0)).gone
  })

  test('a reader that leaves a stream closes its request', async () => {
    await using gateway = await startGateway()
    gateway.chat = { text: ['one', 'two'], hold: (index) => (index < 2 ? Promise.resolve() : new Promise(() => {})) }
    const { stream } = await modelFor(gateway).doStream({ prompt: [{ role: 'user', content: [] }] })
    const reader = stream.getReader()
    for (let part = await reader.read(); part.value?.type !== 'text-delta'; part = await reader.read());
    const pending = reader.read()
    await reader.cancel()
    expect((await pending).done).toBe(true)
    await (await gateway.request(0)).gone
  })

  test('a stream is over at [DONE], and its connection stays for others', async () => {
    await using gateway = await startGateway()
    let end = () => {}
    gateway.chat = { text: ['Hi.'], holdEnd: new Promise<void>((resolve) => (end = resolve)) }
    const model = modelFor(gateway)
    expect(await collect(sdk.ai.streamText({ model, prompt }).textStream)).toEqual(['Hi.'])
    end()
    await sdk.ai.generateText({ model, prompt })
    expect(gateway.connections).toBe(gateway.accepted)
  })

  test.each([
    ['cut', { cutAfter: 2 }, /the connection broke in the middle of the answer/],
    ['ended without a reason', { endAfter: 2 }, /the stream ended in the middle of the answer/],
    [
      'that reports an error',
      { streamError: { message: 'about A secret question.', code: 'overloaded' } },
      /ended the answer with an error \(overloaded\)/,
    ],
  ])('a stream %s keeps what was said and says so', async (_how, reply, message) => {
    await using gateway = await startGateway()
    gateway.chat = { text: ['Hello'], ...reply }
    const errors: Error[] = []
    const onError = ({ error }: { error: Error }) => errors.push(error)
    const result = sdk.ai.streamText({ model: modelFor(gateway), prompt, onError })
    expect(await collect(result.textStream)).toEqual(['Hello'])
    expect(await result.finishReason).toBe('error')
    expect(errors.map((error) => [RoomhookError.isInstance(error), error.message])).toEqual([
      [true, expect.stringMatching(message)],
    ])
    expect(errors[0]?.message).not.toContain(prompt)
  })

  test('a tool call of an answer that broke off does not run', async () => {
    await using gateway = await startGateway()
    gateway.chat = { toolCalls: [{ name: 'pay', arguments: '{}' }], cutAfter: 2 }
    let runs = 0
    const inputSchema = sdk.jsonSchema({ type: 'object', properties: {} })
    const pay = sdk.ai.tool({ inputSchema, execute: async () => runs++ })
    const result = sdk.ai.streamText({ model: modelFor(gateway), prompt, tools: { pay }, onError() {} })
    await collect(result.fullStream)
    expect(runs).toBe(0)
    const { stream } = await modelFor(gateway).doStream({ prompt: [] })
    const types = (await collect(stream)).map(({ type }) => type)
    expect(types.slice(-4)).toEqual(['tool-input-delta', 'error', 'tool-input-end', 'finish'])
  })

  test.each([
    ['without a choice', { id: 'x', choices: [] }, /expected an answer with a choice/],
    ['that says it failed', { error: { message: 'no', type: 'bad_things' } }, /with an error \(bad_things\)/],
    ['that is no object', [] as object, /expected an answer with a choice/],
  ])('a 200 %s is an error', async (_how, body, message) => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 200, body })
    const error = await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 }))
    expect(error.message).toMatch(message)
  })

  test('no error and no log line repeats the question, the token or the gateway’s sentence', async () => {
    await using gateway = await startGateway()
    const body = { error: { message: `you asked: ${prompt}`, code: 'not a code: A secret question.' } }
    gateway.faults.push({ status: 400, body }, { status: 500, body })
    const errors = [
      await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 })),
      await failure(sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 })),
    ]
    const token = gateway.requests[0]?.header('authorization')?.slice('Bearer '.length) ?? 'none'
    const all = JSON.stringify([errors, errors.map(({ message, stack }) => [message, stack]), records])
    expect(all).not.toContain(prompt)
    expect(all).not.toContain(token)
    expect(all).not.toContain(gateway.keys.apiSecret)
  })
})

test('S0-14: missing keys are told at the first call, not when the provider is made', async () => {
  for (const name of ['INFERENCE_API_KEY', 'INFERENCE_API_SECRET', 'API_KEY', 'API_SECRET']) {
    vi.stubEnv(`LIVEKIT_${name}`, undefined)
  }
  const call = { prompt: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }] }
  await expect(livekit('openai/gpt-4o').doGenerate(call)).rejects.toThrow(/apiKey is required/)
  await expect(livekit({ apiKey: 'k' })('openai/gpt-4o').doGenerate(call)).rejects.toThrow(/apiSecret is required/)
})

test('keys and base URL come from the environment', async () => {
  await using gateway = await startGateway()
  vi.stubEnv('LIVEKIT_INFERENCE_URL', gateway.url)
  vi.stubEnv('LIVEKIT_API_KEY', gateway.keys.apiKey)
  vi.stubEnv('LIVEKIT_API_SECRET', gateway.keys.apiSecret)
  const provider = livekit()
  const call = { prompt: [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }] }
  expect((await provider('openai/gpt-4o').doGenerate(call)).content).toEqual([{ type: 'text', text: 'Hello there.' }])
})

test.each([
  ['a number', 5],
  ['null', null],
  ['an unknown setting', { apikey: 'k' }],
  ['an unknown priority', { priority: 'urgent' }],
  ['a job that is none', { job: 'AJ_1' }],
  ['a fetch that is none', { fetch: {} }],
  ['a timeout that is none', { timeoutMs: NaN }],
])('livekit(%s) is refused', (_name, settings) => {
  expect(() => livekit(settings as never)).toThrow(ConfigError)
})

test('a gateway URL with a query is refused', async () => {
  const model = livekit({ apiKey: 'k', apiSecret: 's', baseURL: 'https://gateway.example/v1?x=1' })('openai/gpt-4o')
  await expect(model.doGenerate({ prompt: [] })).rejects.toThrow(ConfigError)
})

test('what the gateway does not have is told with what to do', () => {
  const provider = livekit()
  for (const make of [provider.embeddingModel, provider.textEmbeddingModel, provider.imageModel]) {
    expect(() => make('x')).toThrow(/LiveKit Inference has no \w+ models; use a vendor's provider/)
  }
})

test('a model id or a call that is none is refused with a typed error', async () => {
  const provider = livekit({ apiKey: 'k', apiSecret: 's' })
  for (const make of [provider, provider.chat, provider.languageModel, provider.transcription, provider.speech]) {
    for (const id of ['', null, 5, {}, Number.NaN]) expect(() => make(id as never)).toThrow(ConfigError)
    const model = make('a/b') as {
      doGenerate(call: unknown): Promise<unknown>
      doStream(call: unknown): Promise<unknown>
    }
    for (const call of [undefined, null, 5, {}, { prompt: 'x', text: 1, audio: 1 }]) {
      await expect(model.doGenerate(call)).rejects.toBeInstanceOf(ConfigError)
      await expect(model.doStream(call)).rejects.toBeInstanceOf(ConfigError)
    }
  }
})
