// Answers as vendors vary them: refusals, content in parts, parts that are null, streams that end without having ended.

import { beforeAll, describe, expect, test } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { RoomhookError } from '../../ts/base/errors.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'

const prompt = 'Hi.'

function modelFor(gateway: Gateway) {
  return livekit({ ...gateway.keys, baseURL: gateway.url })('m')
}

const chunk = (delta: unknown, finish_reason: unknown = null) => ({ choices: [{ index: 0, delta, finish_reason }] })
const hello = chunk({ content: 'Hello' })

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test.each<[string, unknown[]]>([
    ['the body', [hello]],
    ['[DONE]', [hello, '[DONE]']],
    ['an empty reason and [DONE]', [hello, chunk({}, ''), '[DONE]']],
    ['an empty reason', [hello, chunk({}, '')]],
    ['a blank reason', [hello, chunk({}, ' '), '[DONE]']],
    ['a reason that is no text', [hello, chunk({}, 7), chunk({}, false), chunk({}, {}), '[DONE]']],
    ['its usage', [hello, { choices: [], usage: { prompt_tokens: 1 } }, '[DONE]']],
    ['the reason that it failed', [hello, chunk({}, 'error'), '[DONE]']],
    ['an event that is no JSON', [hello, '{"choices":[', '[DONE]']],
  ])('F-A4: a stream that ends with %s is an error, and what came is kept', async (_how, events) => {
    await using gateway = await startGateway()
    gateway.chat = { events }
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => errors.push(error)
    const result = sdk.ai.streamText({ model: modelFor(gateway), prompt, onError })
    expect(await collect(result.textStream)).toEqual(['Hello'])
    expect(await result.finishReason).toBe('error')
    expect(errors.map((error) => RoomhookError.isInstance(error))).toEqual([true])
    expect(errors[0]).toMatchObject({ code: 'TRANSPORT_FAILED', retryable: true, isRetryable: true })
  })

  test.each<[string, unknown[], string]>([
    ['in the last event', [hello, chunk({ content: '!' }, 'stop')], 'stop'],
    ['in an event before others', [hello, chunk({}, 'length'), chunk({}, ''), chunk(null)], 'length'],
    ['of a vendor’s own', [hello, chunk({}, 'eos')], 'other'],
  ])('F-A4: a reason %s is one, with [DONE] or without', async (_how, events, reason) => {
    await using gateway = await startGateway()
    for (const all of [events, [...events, '[DONE]']]) {
      gateway.chat = { events: all }
      const result = sdk.ai.streamText({ model: modelFor(gateway), prompt })
      await collect(result.textStream)
      expect(await result.finishReason).toBe(reason)
    }
  })

  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }, null, { type: 'reference' }] },
    { type: 'text', text: 'Hel' },
    null,
    { type: 'text', text: null },
    { type: 'image_url', image_url: {} },
    'lo',
  ]

  test('F-A7: content in parts is words and thoughts, whole and streamed', async () => {
    await using gateway = await startGateway()
    gateway.chat = { message: { role: 'assistant', content: parts } }
    const whole = await sdk.ai.generateText({ model: modelFor(gateway), prompt })
    expect([whole.reasoningText, whole.text, whole.finishReason]).toEqual(['Hm.', 'Hello', 'stop'])
    gateway.chat = { events: [...parts.map((part) => chunk({ content: [part] })), chunk({}, 'stop')] }
    const streamed = sdk.ai.streamText({ model: modelFor(gateway), prompt })
    expect(await collect(streamed.textStream)).toEqual(['Hel', 'lo'])
    expect(await streamed.reasoningText).toBe('Hm.')
  })

  test.each<[string, object]>([
    ['beside the content', { content: null, refusal: 'I will not.' }],
    ['in the content', { content: [{ type: 'refusal', refusal: 'I will not.' }] }],
  ])('F-A7: a refusal %s is text, and the reason to stop', async (_how, message) => {
    await using gateway = await startGateway()
    gateway.chat = { message: { role: 'assistant', ...message } }
    const whole = await sdk.ai.generateText({ model: modelFor(gateway), prompt })
    expect([whole.text, whole.finishReason]).toEqual(['I will not.', 'content-filter'])
    gateway.chat = { events: [chunk(message), chunk({}, 'stop')] }
    const streamed = sdk.ai.streamText({ model: modelFor(gateway), prompt })
    expect(await collect(streamed.textStream)).toEqual(['I will not.'])
    expect(await streamed.finishReason).toBe('content-filter')
  })

  test('F-A7: parts that are null, or of another type, are no words', async () => {
    await using gateway = await startGateway()
    const odd = [
      null,
      7,
      'x',
      [],
      {},
      { content: 7 },
      { content: {} },
      { content: null, refusal: false, reasoning: [] },
    ]
    const events = [
      'null',
      '[]',
      '7',
      {},
      { choices: null },
      { choices: [null] },
      { choices: {} },
      ...odd.map((delta) => chunk(delta)),
      chunk({ tool_calls: null }),
      chunk({ tool_calls: [null, 7, {}] }),
      chunk({ tool_calls: {} }),
      { ...hello, usage: null, error: null },
      chunk({}, 'stop'),
    ]
    gateway.chat = { events }
    const result = sdk.ai.streamText({ model: modelFor(gateway), prompt })
    expect(await collect(result.textStream)).toEqual(['Hello'])
    expect(await result.finishReason).toBe('stop')
    for (const message of odd.filter((part) => typeof part === 'object' && part !== null)) {
      gateway.chat = { message: { role: 'assistant', tool_calls: [null], ...message } }
      expect((await sdk.ai.generateText({ model: modelFor(gateway), prompt })).text).toBe('')
    }
  })

  test.each([{ choices: [null] }, { choices: {} }, { choices: [{ message: null }] }, { choices: 'x' }])(
    'F-A7: a 200 with %o is an error',
    async (body) => {
      await using gateway = await startGateway()
      gateway.faults.push({ status: 200, body })
      const call = sdk.ai.generateText({ model: modelFor(gateway), prompt, maxRetries: 0 })
      await expect(call).rejects.toThrow(/expected an answer with a choice/)
    },
  )
})
