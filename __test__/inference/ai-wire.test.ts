// What `withHeaders` puts on the wire under both majors of the AI SDK: precedence, turns and jobs that interleave, and not
// a byte where there is nothing to add.

import { beforeAll, describe, expect, test } from 'vitest'
import { withHeaders } from '../../ts/ai.js'
import { createHeaderHooks } from '../../ts/inference.js'
import { loadSdk, MAJORS, type Sdk, vendors } from '../support/ai-sdk.js'
import { type RecordedRequest, startGateway } from '../support/gateway.js'
import { jobOf } from './ai-fakes.js'

const prompt = 'Say hello.'

function headLines({ head }: RecordedRequest): string[] {
  return head.split('\r\n').filter((line) => !/^host:/i.test(line))
}

describe.each(MAJORS)('on the wire with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test.each(['generateText', 'streamText'])(
    'S2-01: outside of jobs and turns the bytes of %s are those of the bare model',
    async (name) => {
      await using gateway = await startGateway()
      const { compatible } = vendors(sdk, gateway)
      const hooks = createHeaderHooks()
      const ask = async (model: object) => {
        const result = await sdk.ai[name]?.({ model, prompt })
        await result.text
      }
      await ask(compatible('m'))
      await ask(withHeaders(compatible('m')))
      await hooks.turn({}, () => ask(withHeaders(compatible('m'))))
      const [bare, wrapped, inTurn] = gateway.requests
      if (bare === undefined || wrapped === undefined || inTurn === undefined) throw new Error('a request is missing')
      expect(headLines(wrapped)).toEqual(headLines(bare))
      expect(headLines(inTurn)).toEqual(headLines(bare))
      expect(wrapped.body).toEqual(bare.body)
    },
  )

  test.each(['generateText', 'streamText'])(
    'S2-12: a per-call X-A of %s beats a hook’s x-a, and a hook beats the provider’s',
    async (name) => {
      await using gateway = await startGateway()
      gateway.judge = false
      const provider = sdk.compatible.createOpenAICompatible({
        name: 'vendor',
        baseURL: gateway.url,
        headers: { 'X-A': 'provider', 'x-b': 'provider' },
      })
      const hooks = createHeaderHooks()
      hooks.on('before_llm_request', () => ({ headers: { 'x-a': 'hook', 'X-B': 'hook', 'X-C': 'hook' } }))
      await hooks.turn({}, async () => {
        const model = withHeaders(provider('m'), { headers: { 'X-C': 'fixed', 'X-D': 'fixed' } })
        const result = await sdk.ai[name]?.({ model, prompt, headers: { 'X-A': 'call' } })
        await result.text
      })
      const request = await gateway.request(0)
      expect(['x-a', 'x-b', 'x-c', 'x-d'].map((field) => [request.header(field), request.count(field)])).toEqual([
        ['call', 1],
        ['hook', 1],
        ['hook', 1],
        ['fixed', 1],
      ])
    },
  )

  test('S2-11: two interleaved turns keep their own headers, over a tool loop whose tool asks again', async () => {
    await using gateway = await startGateway()
    const { compatible } = vendors(sdk, gateway)
    const model = withHeaders(compatible('m'))
    const hooks = createHeaderHooks({ shareSender: true })
    let runs = 0
    hooks.on('before_llm_request', (_event, { senderId }) => {
      runs++
      return { headers: { 'X-Sender': senderId } }
    })
    gateway.chat = (body) => {
      const asked = JSON.stringify(body.messages).includes('use it')
      const answered = body.messages.some(({ role }) => role === 'tool')
      return asked && !answered ? { toolCalls: [{ name: 'look', arguments: '{}' }] } : { text: ['done'] }
    }
    const inputSchema = sdk.jsonSchema({ type: 'object', properties: {} })
    const execute = async () => (await sdk.ai.generateText({ model, prompt: 'inside the tool' })).text
    const turn = (senderId: string) =>
      hooks.turn({ senderId }, () =>
        sdk.ai.generateText({
          model,
          prompt: `use it, ${senderId}`,
          tools: { look: sdk.ai.tool({ inputSchema, execute }) },
          stopWhen: sdk.steps(4),
          headers: { 'X-Asked-By': senderId },
        }),
      )
    await Promise.all([turn('anna'), turn('bert')])
    await turn('anna')
    expect(runs).toBe(3)
    expect(gateway.requests.length).toBe(9)
    const seen = gateway.requests.map((request) => request.header('x-sender'))
    expect(seen.filter((sender) => sender === 'anna').length).toBe(6)
    expect(seen.filter((sender) => sender === 'bert').length).toBe(3)
    for (const request of gateway.requests) {
      const asked = request.header('x-asked-by')
      if (asked !== undefined) expect(request.header('x-sender')).toBe(asked)
    }
  })

  test('S0-16: two concurrent jobs never see each other’s ids', async () => {
    await using gateway = await startGateway()
    const { compatible } = vendors(sdk, gateway)
    const ask = async (name: string) => {
      const model = withHeaders(compatible(name), { job: jobOf(name) })
      const streams = [0, 1, 2].map(() => sdk.ai.streamText({ model, prompt }))
      for (const stream of streams) await stream.text
    }
    await Promise.all([ask('one'), ask('two')])
    expect(gateway.requests.length).toBe(6)
    for (const request of gateway.requests) {
      const name = (request.body as { model: string }).model
      expect(request.header('x-livekit-job-id')).toBe(`AJ_${name}`)
      expect(request.header('x-livekit-room-id')).toBe(`RM_${name}`)
      expect(request.header('x-livekit-agent-id')).toBe(`PA_${name}`)
    }
  })
})
