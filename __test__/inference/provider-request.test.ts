// What a call of `livekit()` puts into its request, under both majors of the AI SDK: options, prompts, headers; and what is
// refused before anything is sent.

import { beforeAll, describe, expect, test } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import type { ChatBody } from '../support/gateway-chat.js'
import { listen } from '../support/suite-log.js'
import { jobOf } from './ai-fakes.js'

const prompt = 'Say hello.'

listen(() => {})

function providerFor(gateway: Gateway, settings: object = {}) {
  return livekit({ ...gateway.keys, baseURL: gateway.url, ...settings })
}

function bodyOf(gateway: Gateway, index = 0): ChatBody {
  return gateway.requests[index]?.body as ChatBody
}

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test('S0-10: a call’s priority and provider beat the settings', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway, { priority: 'low', provider: 'azure' })('openai/gpt-4o')
    await sdk.ai.generateText({ model, prompt })
    const livekitOptions = { priority: 'priority', provider: 'openai' }
    await sdk.ai.generateText({ model, prompt, providerOptions: { livekit: livekitOptions } })
    await sdk.ai.generateText({ model: providerFor(gateway)('openai/gpt-4o'), prompt })
    const field = (name: string) => gateway.requests.map((request) => request.header(name))
    expect(field('x-livekit-inference-priority')).toEqual(['low', 'priority', undefined])
    expect(field('x-livekit-inference-provider')).toEqual(['azure', 'openai', undefined])
  })

  test('S0-11: extra_headers never reach the body', async () => {
    await using gateway = await startGateway()
    const body = {
      extra_headers: { 'X-Extra': 'yes' },
      extra_body: { a: 1 },
      extra_query: {},
      metadata: { team: 'blue' },
    }
    await sdk.ai.generateText({
      model: providerFor(gateway)('openai/gpt-4o'),
      prompt,
      headers: { 'X-Call': '1' },
      providerOptions: { livekit: { body } },
    })
    const sent = bodyOf(gateway)
    expect(Object.keys(sent).filter((name) => name.startsWith('extra_'))).toEqual([])
    expect(sent.metadata).toEqual({ team: 'blue' })
    const request = gateway.requests[0]
    expect([request?.header('x-call'), request?.header('x-extra')]).toEqual(['1', 'yes'])
  })

  test('S0-09: a caller’s Authorization and attribution do not replace ours', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway, { job: jobOf('a') })('openai/gpt-4o')
    const headers = { authorization: 'Bearer forged', 'x-livekit-agent-id': 'PA_forged', 'user-agent': 'mine/1' }
    await sdk.ai.generateText({ model, prompt, headers })
    const request = await gateway.request(0)
    expect(request.status).toBe(200)
    expect([request.header('x-livekit-agent-id'), request.count('x-livekit-agent-id')]).toEqual(['PA_a', 1])
    expect(request.count('authorization')).toBe(1)
    expect(request.header('user-agent')).toMatch(/^mine\/1 ai\//)
  })

  test('every setting of a call has its place in the body', async () => {
    await using gateway = await startGateway()
    const result = await sdk.ai.generateText({
      model: providerFor(gateway)('openai/gpt-4o'),
      prompt,
      maxOutputTokens: 50,
      temperature: 0.5,
      topP: 0.9,
      topK: 3,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      seed: 7,
      stopSequences: ['END'],
      providerOptions: { livekit: { user: 'opaque-1', verbosity: 'low', reasoningEffort: 'low' } },
    })
    expect(bodyOf(gateway)).toMatchObject({
      max_completion_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      seed: 7,
      stop: ['END'],
      user: 'opaque-1',
      verbosity: 'low',
      reasoning_effort: 'low',
    })
    expect(result.warnings).toMatchObject([{ type: 'unsupported', feature: 'topK' }])
  })

  test('reasoning models get no sampling parameters, and the call is warned', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway)('openai/gpt-5-mini')
    const result = await sdk.ai.generateText({ model, prompt, temperature: 0.5, frequencyPenalty: 1 })
    expect(Object.keys(bodyOf(gateway))).toEqual(['model', 'messages'])
    expect((result.warnings as { feature: string }[]).map(({ feature }) => feature)).toEqual([
      'temperature',
      'frequencyPenalty',
    ])
  })

  test('pictures, sound, documents and text files become what chat completions take', async () => {
    await using gateway = await startGateway()
    const file = (mediaType: string, data: Uint8Array) => ({ type: 'file', mediaType, data })
    const bytes = Buffer.from('abc')
    const content = [
      { type: 'text', text: 'Look:' },
      { type: 'image', image: bytes, mediaType: 'image/png' },
      file('audio/wav', bytes),
      file('application/pdf', bytes),
      file('text/plain', bytes),
    ]
    const model = providerFor(gateway)('openai/gpt-4o')
    await sdk.ai.generateText({ model, messages: [{ role: 'user', content }] })
    expect(bodyOf(gateway).messages[0]?.content).toEqual([
      { type: 'text', text: 'Look:' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,YWJj' } },
      { type: 'input_audio', input_audio: { data: 'YWJj', format: 'wav' } },
      { type: 'file', file: { filename: 'document.pdf', file_data: 'data:application/pdf;base64,YWJj' } },
      { type: 'text', text: 'abc' },
    ])
    const video = sdk.ai.generateText({ model, messages: [{ role: 'user', content: [file('video/mp4', bytes)] }] })
    await expect(video).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('video/mp4') })
  })

  test('raw chunks are there when asked for', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway)('openai/gpt-4o')
    const parts = (await collect(sdk.ai.streamText({ model, prompt, includeRawChunks: true }).fullStream)) as {
      type: string
      rawValue?: { object?: string }
    }[]
    const raw = parts.filter(({ type }) => type === 'raw')
    expect(raw.length).toBeGreaterThan(3)
    expect(raw[0]?.rawValue?.object).toBe('chat.completion.chunk')
  })

  test.each([
    [{ priorty: 'low' }, /providerOptions\.livekit\.priorty is not an option; did you mean priority/],
    [{ priority: 'urgent' }, /providerOptions\.livekit\.priority must be one of priority, standard, low/],
    [{ reasoningEffort: 9 }, /reasoningEffort must be one of/],
    [{ body: 'x' }, /body must be an object/],
  ])('S0-10: the call option %o is refused before anything is sent', async (options, message) => {
    await using gateway = await startGateway()
    const model = providerFor(gateway)('openai/gpt-4o')
    const call = sdk.ai.generateText({ model, prompt, providerOptions: { livekit: options } })
    await expect(call).rejects.toThrow(message)
    expect(gateway.requests).toEqual([])
  })
})
