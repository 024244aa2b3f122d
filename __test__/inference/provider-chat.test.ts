// `livekit()` as a chat provider, under both majors of the AI SDK against the local gateway: what goes over the wire, and
// what comes back.

import { beforeAll, describe, expect, test } from 'vitest'
import { livekit, withHeaders } from '../../ts/ai.js'
import type { LogRecord } from '../../ts/base/log.js'
import { createHeaderHooks } from '../../ts/inference.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import type { ChatBody } from '../support/gateway-chat.js'
import { attribution, runInJob, testJob } from '../support/inference-job.js'
import { listen } from '../support/suite-log.js'
import { jobOf } from './ai-fakes.js'

const prompt = 'Say hello.'

const records: LogRecord[] = []
listen((record) => records.push(record))

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

  test('S0-08: a request carries token, attribution and the User-Agent of both, on the wire', async () => {
    await using gateway = await startGateway()
    const provider = providerFor(gateway, { job: jobOf('a') })
    const result = await sdk.ai.generateText({ model: provider('openai/gpt-5-mini'), prompt })
    expect(result.text).toBe('Hello there.')
    const request = await gateway.request(0)
    expect(request.path).toBe('/chat/completions')
    expect(request.status).toBe(200)
    expect(request.head).toMatch(/^POST \/v1\/chat\/completions HTTP\/1\.1\r\n/)
    expect(request.head).toContain('\r\nX-LiveKit-Room-Id: RM_a\r\n')
    expect(request.head).toContain('\r\nX-LiveKit-Job-Id: AJ_a\r\n')
    expect(request.head).toContain('\r\nX-LiveKit-Agent-Id: PA_a\r\n')
    expect(request.count('authorization')).toBe(1)
    expect(request.header('user-agent')).toMatch(/^roomhook\/\S+ \(node v[\d.]+\) ai\/[\d.]+$/)
    expect(request.body).toEqual({ model: 'openai/gpt-5-mini', messages: [{ role: 'user', content: prompt }] })
  })

  test('a whole answer has text, reasoning, usage, reason and response', async () => {
    await using gateway = await startGateway()
    gateway.chat = { reasoning: ['Let me ', 'think.'], text: ['Hi.'], finishReason: 'length' }
    const result = await sdk.ai.generateText({ model: providerFor(gateway)('openai/gpt-5-mini'), prompt })
    expect(result.reasoningText).toBe('Let me think.')
    expect(result.text).toBe('Hi.')
    expect(result.finishReason).toBe('length')
    expect(result.usage).toMatchObject({ inputTokens: 11, outputTokens: 7, totalTokens: 18 })
    expect(result.response).toMatchObject({ id: 'chatcmpl-1', modelId: 'openai/gpt-5-mini' })
  })

  test('a stream has its parts in order, and its usage at the end', async () => {
    await using gateway = await startGateway()
    gateway.chat = { reasoning: ['Hm', '.'], text: ['Hel', 'lo'] }
    const result = sdk.ai.streamText({ model: providerFor(gateway)('openai/gpt-5-mini'), prompt })
    const parts = (await collect(result.fullStream)) as { type: string; text?: string }[]
    const order = parts.map(({ type }) => type).filter((type) => /^(?:text|reasoning|finish)/.test(type))
    expect(order).toEqual([
      'reasoning-start',
      'reasoning-delta',
      'reasoning-delta',
      'reasoning-end',
      'text-start',
      'text-delta',
      'text-delta',
      'text-end',
      'finish-step',
      'finish',
    ])
    expect(await result.text).toBe('Hello')
    expect(await result.usage).toMatchObject({ inputTokens: 11, outputTokens: 7 })
    expect(bodyOf(gateway)).toMatchObject({ stream: true, stream_options: { include_usage: true } })
  })

  test.each(['generateText', 'streamText'])(
    '%s runs tools whose arguments come in pieces, and gives back what vendors attach',
    async (name) => {
      await using gateway = await startGateway()
      gateway.chat = (_body, index) =>
        index > 0
          ? { text: ['Sunny and 7.'] }
          : {
              text: ['Looking.'],
              toolCalls: [
                {
                  id: 'c1',
                  name: 'weather',
                  arguments: ['{"ci', 'ty":"Os', 'lo"}'],
                  extraContent: { google: { sig: 'x' } },
                },
                { id: 'c2', name: 'weather', arguments: '{"city":"Bergen"}' },
              ],
              // Some vendors say so although a tool shall run.
              finishReason: 'stop',
            }
      const cities: string[] = []
      const inputSchema = sdk.jsonSchema({
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
      })
      const weather = sdk.ai.tool({
        description: 'The weather',
        inputSchema,
        execute: async ({ city }: { city: string }) => {
          cities.push(city)
          return { degrees: 7 }
        },
      })
      const model = providerFor(gateway)('google/gemini-3.5-flash')
      const result = await sdk.ai[name]?.({
        model,
        prompt,
        tools: { weather },
        stopWhen: sdk.steps(3),
        toolChoice: 'auto',
      })
      expect(await result.text).toBe('Sunny and 7.')
      expect((await result.steps)[0].finishReason).toBe('tool-calls')
      expect(cities.sort()).toEqual(['Bergen', 'Oslo'])
      expect(bodyOf(gateway, 0)).toMatchObject({
        tools: [
          {
            type: 'function',
            function: { name: 'weather', description: 'The weather', parameters: { type: 'object' } },
          },
        ],
        tool_choice: 'auto',
      })
      expect(bodyOf(gateway, 1).messages.slice(1)).toEqual([
        {
          role: 'assistant',
          content: 'Looking.',
          tool_calls: [
            {
              id: 'c1',
              type: 'function',
              function: { name: 'weather', arguments: '{"city":"Oslo"}' },
              extra_content: { google: { sig: 'x' } },
            },
            { id: 'c2', type: 'function', function: { name: 'weather', arguments: '{"city":"Bergen"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: '{"degrees":7}' },
        { role: 'tool', tool_call_id: 'c2', content: '{"degrees":7}' },
      ])
    },
  )

  test('structured output sends its schema and gives an object', async () => {
    await using gateway = await startGateway()
    gateway.chat = { text: ['{"city":', '"Oslo"}'] }
    const schema = sdk.jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] })
    const model = providerFor(gateway)('openai/gpt-4o')
    const { object } = await sdk.ai.generateObject({
      model,
      prompt,
      schema,
      schemaName: 'place',
      schemaDescription: 'A place',
    })
    expect(object).toEqual({ city: 'Oslo' })
    const streamed = sdk.ai.streamObject({
      model,
      prompt,
      schema,
      providerOptions: { livekit: { strictJsonSchema: false } },
    })
    await collect(streamed.partialObjectStream)
    expect(await streamed.object).toEqual({ city: 'Oslo' })
    expect(bodyOf(gateway, 0).response_format).toMatchObject({
      type: 'json_schema',
      json_schema: { name: 'place', description: 'A place', strict: true, schema: { required: ['city'] } },
    })
    expect(bodyOf(gateway, 1).response_format).toMatchObject({ json_schema: { name: 'response', strict: false } })
  })

  test('S0-16: inside an entry the job is found by itself, and jobs that interleave never mix', async () => {
    await using gateway = await startGateway()
    const turns = createHeaderHooks({ shareSender: true })
    turns.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender': senderId } }))
    let release = () => {}
    const together = new Promise<void>((resolve) => {
      release = resolve
    })
    let begun = 0
    const provider = providerFor(gateway)
    const wrapped = withHeaders(provider('wrapped'))
    const entry = (name: string) =>
      runInJob(testJob(name), async () => {
        if (++begun === 3) release()
        await together
        const streams = await turns.turn({ senderId: name }, () =>
          [provider('plain'), wrapped].map((model) => sdk.ai.streamText({ model, prompt: name })),
        )
        for (const stream of streams) expect(await stream.text).toBe('Hello there.')
        await sdk.ai.generateText({ model: provider('plain'), prompt: name })
      })
    await Promise.all(['one', 'two', 'three'].map(entry))
    expect(gateway.requests.length).toBe(9)
    for (const request of gateway.requests) {
      const name = String((request.body as ChatBody).messages[0]?.content)
      const inTurn = (request.body as ChatBody).stream === true
      expect(request.fields).toEqual(expect.arrayContaining(attribution(name)))
      expect(request.header('x-sender')).toBe(inTurn ? name : undefined)
    }
    // A wrapped model of our own does not warn about attribution that it added itself.
    expect(records).toEqual([])
  })

  test('S0-01: an explicit job beats the entry’s, and null is none', async () => {
    await using gateway = await startGateway()
    await runInJob(testJob('entry'), async () => {
      await sdk.ai.generateText({ model: providerFor(gateway, { job: jobOf('given') })('m'), prompt })
      await sdk.ai.generateText({ model: providerFor(gateway, { job: null })('m'), prompt })
    })
    const [given, none] = gateway.requests
    expect(given?.header('x-livekit-job-id')).toBe('AJ_given')
    expect(none?.fields.filter(([name]) => /^x-livekit-/i.test(name))).toEqual([])
  })
})
