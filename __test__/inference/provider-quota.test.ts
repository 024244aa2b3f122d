// What the gateway says when it refuses, whichever way it says it (an answer, an event of a stream, a message of a session,
// a refused upgrade): who tries again, what the error tells, and what no log says.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { livekit } from '../../ts/ai.js'
import type { RoomhookError } from '../../ts/base/errors.js'
import type { LogRecord } from '../../ts/base/log.js'
import { inferenceFetch, inferenceSocket } from '../../ts/inference.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { tone } from '../support/gateway-speech.js'
import { wav } from '../support/gateway-vendor.js'
import { listen } from '../support/suite-log.js'

const prompt = 'A secret question.'
const AT_ONCE = { 'retry-after-ms': '1' }

const records: LogRecord[] = []
listen((record) => records.push(record))
beforeEach(() => {
  records.length = 0
})

function quota(category: string): object {
  const hint = 'Wait for the next billing cycle or upgrade your plan.'
  return { error: 'x', type: 'inference_quota_exceeded', category, quota_type: 'llm', remaining_limit: '0', hint }
}

const spent = quota('MaxGatewayCredits')
const limited = quota('MaxConcurrentGatewayLLMRpm')
const facts = (category: string) => ({
  type: 'inference_quota_exceeded',
  category,
  quotaType: 'llm',
  remainingLimit: '0',
  hint: 'Wait for the next billing cycle or upgrade your plan.',
})
const final = { code: 'TRANSPORT_FAILED', retryable: false, isRetryable: false, details: facts('MaxGatewayCredits') }

function warnings(): [string, unknown][] {
  return records.filter(({ level }) => level === 'warn').map(({ message, fields }) => [message, fields])
}

function providerFor(gateway: Gateway, settings: object = {}) {
  return livekit({ ...gateway.keys, baseURL: gateway.url, ...settings })
}

async function failure(call: PromiseLike<unknown>): Promise<RoomhookError & Record<string, unknown>> {
  return call.then(
    () => expect.fail('the call succeeded'),
    (error) => error,
  ) as Promise<RoomhookError & Record<string, unknown>>
}

const audio = wav(tone(10, 16_000), 16_000)

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test('F-A1: a quota that waiting does not bring back is asked for once, and the error and the log say what it is', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 429, times: 9, body: spent, headers: AT_ONCE })
    const error = await failure(sdk.ai.generateText({ model: providerFor(gateway)('m'), prompt }))
    expect(error).toMatchObject({ ...final, statusCode: 429 })
    expect(error.message).toContain('(MaxGatewayCredits)')
    expect(error.message).toContain('waiting does not help')
    expect(gateway.requests).toHaveLength(1)
    expect(warnings()).toEqual([[expect.stringContaining('a quota is used up'), facts('MaxGatewayCredits')]])
  })

  test('F-A1: a limit a minute of the same type is tried again', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 429, times: 2, body: limited, headers: AT_ONCE })
    const { text } = await sdk.ai.generateText({ model: providerFor(gateway)('m'), prompt })
    expect(text).toBe('Hello there.')
    expect(gateway.requests).toHaveLength(3)
    expect(warnings()[0]).toEqual([
      expect.stringContaining('asks for fewer requests'),
      facts('MaxConcurrentGatewayLLMRpm'),
    ])
  })

  test.each([
    ['as it is', spent],
    ['in an error', { error: spent }],
  ])('F-A1: inside a stream, %s', async (_how, event) => {
    await using gateway = await startGateway()
    gateway.chat = { events: [{ choices: [{ delta: { content: 'Well' } }] }, event] }
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => errors.push(error)
    const result = sdk.ai.streamText({ model: providerFor(gateway)('m'), prompt, onError })
    expect(await collect(result.textStream)).toEqual(['Well'])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject(final)
    expect(warnings()).toEqual([[expect.stringContaining('a quota is used up'), facts('MaxGatewayCredits')]])
  })

  test('F-A1: in a 200 answer', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 200, body: spent })
    expect(await failure(sdk.ai.generateText({ model: providerFor(gateway)('m'), prompt }))).toMatchObject(final)
    expect(gateway.requests).toHaveLength(1)
  })

  test.each([
    ['as it is', spent],
    ['as an error', { ...spent, type: 'error' }],
    ['in an error', { type: 'error', error: spent }],
    [
      'in the sentence of an error',
      { type: 'error', code: 429, message: 'no credits, category: MaxGatewayCredits, x' },
    ],
  ])('F-A1: in a session of speech, %s', async (_how, message) => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: '', verbatim: [message] }
    gateway.tts = { verbatim: [message] }
    const provider = providerFor(gateway)
    for (const call of [
      () => sdk.transcribe({ model: provider.transcription('deepgram/nova-3'), audio }),
      () => sdk.generateSpeech({ model: provider.speech('cartesia/sonic-3'), text: 'Hi.' }),
    ]) {
      const error = await failure(call())
      expect(error).toMatchObject({ retryable: false, isRetryable: false, details: { category: 'MaxGatewayCredits' } })
    }
    expect(gateway.requests).toHaveLength(2)
    expect(warnings()).toHaveLength(2)
  })

  test('F-A1: in the body of a refused upgrade', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ path: '/tts', status: 429, times: 9, body: spent })
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    const error = await failure(sdk.generateSpeech({ model, text: 'Hi.' }))
    expect(error).toMatchObject({ ...final, statusCode: 429 })
    expect(gateway.requests).toHaveLength(1)
    expect(warnings()).toEqual([[expect.stringContaining('a quota is used up'), facts('MaxGatewayCredits')]])
  })

  test.each([
    [2007, undefined, false],
    [2001, undefined, false],
    ['2007', undefined, false],
    [400, 400, false],
    [403, 403, false],
    [429, 429, true],
    [503, 503, true],
    [undefined, undefined, true],
    ['overloaded', undefined, true],
    ['invalid_api_key', undefined, false],
  ])(
    'F-A2: an error %s of a session is a status only from 400 to 599, and both worlds agree',
    async (code, statusCode, retryable) => {
      await using gateway = await startGateway()
      gateway.stt = { transcript: '', verbatim: [{ type: 'error', code, message: 'nothing was heard' }] }
      const model = providerFor(gateway).transcription('deepgram/nova-3')
      const error = await failure(sdk.transcribe({ model, audio, maxRetries: 0 }))
      expect(error).toMatchObject({ statusCode, retryable, isRetryable: retryable })
      expect(error.details?.message).toBe('nothing was heard')
      if (code !== undefined) expect(error.details?.code).toBe(String(code))
    },
  )

  test('F-A2: a session that ends with a code of the gateway’s own is opened once', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: '', verbatim: [{ type: 'error', code: 2007, message: 'inactive' }] }
    const model = providerFor(gateway).transcription('deepgram/nova-3')
    expect(await failure(sdk.transcribe({ model, audio }))).toMatchObject({ details: { code: '2007' } })
    expect(gateway.requests).toHaveLength(1)
  })

  test('F-A2: retryable and isRetryable agree, whatever went wrong', async () => {
    await using gateway = await startGateway()
    const provider = providerFor(gateway)
    const chat = () => sdk.ai.generateText({ model: provider('m'), prompt, maxRetries: 0 })
    const hear = () => sdk.transcribe({ model: provider.transcription('d/n'), audio, maxRetries: 0 })
    const ways: [() => Promise<unknown>, () => void][] = [
      ...[301, 400, 402, 403, 404, 408, 409, 422, 429, 499, 500, 503].map(
        (status): [() => Promise<unknown>, () => void] => [chat, () => gateway.faults.push({ status })],
      ),
      [chat, () => gateway.faults.push({ status: 200, body: { error: { message: 'no', code: 400 } } })],
      [chat, () => gateway.faults.push({ status: 200, body: { error: 'no' } })],
      [chat, () => gateway.faults.push({ status: 200, body: 'not json' })],
      [chat, () => gateway.faults.push({ status: 200, body: { choices: [] } })],
      [chat, () => gateway.faults.push({ hangUp: true })],
      ...[401, 403, 429, 503].map((status): [() => Promise<unknown>, () => void] => [
        hear,
        () => gateway.faults.push({ path: '/stt', status, times: 2 }),
      ]),
      [hear, () => gateway.faults.push({ path: '/stt', hangUp: true })],
      ...[1000, 1008, 1011, 4001].map((closeInstead): [() => Promise<unknown>, () => void] => [
        hear,
        () => {
          gateway.stt = { transcript: '', closeInstead }
        },
      ]),
    ]
    const seen: unknown[] = []
    for (const [call, misbehave] of ways) {
      gateway.faults.length = 0
      misbehave()
      const { retryable, isRetryable } = await failure(call())
      seen.push([retryable, isRetryable])
    }
    expect(seen).toEqual(seen.map((both) => [(both as boolean[])[0], (both as boolean[])[0]]))
  })

  test.each([
    ['JSON', { error: { message: `no such model: ${prompt}`, type: 'invalid_request_error' } }],
    ['a text', `no such model: ${prompt}`],
  ])('F-A6: the sentence of a 400 in %s is on the error, with the request’s id, and in no log', async (_how, body) => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 400, body, headers: { 'X-Request-Id': 'req_7' } })
    const error = await failure(sdk.ai.generateText({ model: providerFor(gateway)('m'), prompt }))
    expect(error.details).toMatchObject({
      statusCode: 400,
      message: `no such model: ${prompt}`,
      requestId: 'req_7',
    })
    expect(error.responseBody).toBe(typeof body === 'string' ? body : JSON.stringify(body))
    expect((error.responseHeaders as Record<string, string>)['x-request-id']).toBe('req_7')
    expect([error.message, error.stack, JSON.stringify(error), JSON.stringify(records)].join()).not.toContain(prompt)
  })

  test('F-A6: a token that the gateway repeats is cut out of what the error keeps', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 401, times: 2, body: { error: { message: 'bad token eyJhbGciOi.eyJpc3Mi.c2ln' } } })
    const error = await failure(sdk.ai.generateText({ model: providerFor(gateway)('m'), prompt }))
    expect(error.details?.message).toBe('bad token [hidden]')
    expect(error.responseBody).not.toContain('eyJ')
  })

  test('F-A6: the sentence of a refused upgrade and of a session are on the error too', async () => {
    await using gateway = await startGateway()
    const body = { error: { message: 'no such voice' } }
    gateway.faults.push({ path: '/tts', status: 400, body, headers: { 'X-Request-Id': 'req_8' } })
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    const refused = await failure(sdk.generateSpeech({ model, text: 'Hi.' }))
    expect(refused).toMatchObject({ details: { message: 'no such voice', requestId: 'req_8' } })
    expect(refused.responseBody).toBe(JSON.stringify(body))
    gateway.tts = { error: { message: 'no such voice' } }
    const said = await failure(sdk.generateSpeech({ model, text: 'Hi.', maxRetries: 0 }))
    expect(said).toMatchObject({ details: { message: 'no such voice' } })
  })
})

describe('without the AI SDK', () => {
  test('F-A1: inferenceFetch asks once, gives the answer whole, and says in the log what it is', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 429, times: 9, body: spent })
    const ask = inferenceFetch({ ...gateway.keys, baseURL: gateway.url })
    const response = await ask('chat/completions', { method: 'POST', body: '{}' })
    expect([response.status, await response.json()]).toEqual([429, spent])
    expect(gateway.requests).toHaveLength(1)
    expect(warnings()).toEqual([[expect.stringContaining('a quota is used up'), facts('MaxGatewayCredits')]])
  })

  test('F-A1: inferenceFetch tries a limit a minute again', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 429, times: 2, body: limited })
    const ask = inferenceFetch({ ...gateway.keys, baseURL: gateway.url, retry: { waitsMs: [0] } })
    expect((await ask('chat/completions', { method: 'POST', body: '{}' })).status).toBe(200)
    expect(gateway.requests).toHaveLength(3)
  })

  test('F-A1: inferenceSocket does not try again either', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 429, times: 9, body: spent })
    const options = { service: 'eot', baseURL: gateway.url, ...gateway.keys, retry: { waitsMs: [0] } } as const
    const error = await failure(inferenceSocket(options))
    expect(error).toMatchObject({ retryable: false, details: { statusCode: 429, ...facts('MaxGatewayCredits') } })
    expect(gateway.requests).toHaveLength(1)
    gateway.faults.splice(0, 9, { status: 429, times: 2, body: limited })
    await using _socket = await inferenceSocket(options)
    expect(gateway.requests).toHaveLength(4)
  })
})
