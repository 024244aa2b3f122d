// Handlers that do everything wrong, seen from the wire: the request goes out all the same, with what the good handlers
// added and nothing else; over `inferenceFetch`, and under both majors of the AI SDK over `withHeaders` and `livekit()`.
// What each fault is told as, is in hooks.test.ts.

import { describe, expect, test } from 'vitest'
import { livekit, withHeaders } from '../../ts/ai.js'
import { createHeaderHooks, type HeaderHooks, inferenceFetch } from '../../ts/inference.js'
import { loadSdk, type Major, vendors } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { CapturedLogs } from '../support/logs.js'
import { jobOf } from './ai-fakes.js'

const job = jobOf('wire')
const prompt = 'Say hello.'

type Ask = (gateway: Gateway) => Promise<unknown>

function overSdk(major: Major, of: (sdk: Awaited<ReturnType<typeof loadSdk>>, gateway: Gateway) => object): Ask {
  return async (gateway) => {
    const sdk = await loadSdk(major)
    expect((await sdk.ai.generateText({ model: of(sdk, gateway), prompt })).text).toBe('Hello there.')
  }
}

const doors: [name: string, ask: Ask][] = [
  [
    'inferenceFetch',
    async (gateway) => {
      const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: prompt }] })
      const ask = inferenceFetch({ ...gateway.keys, baseURL: gateway.url, job })
      const headers = { 'content-type': 'application/json' }
      expect((await ask('chat/completions', { method: 'POST', headers, body })).status).toBe(200)
    },
  ],
  ...([6, 7] as const).flatMap((major): [string, Ask][] => [
    [
      `withHeaders with ai ${major}`,
      overSdk(major, (sdk, gateway) => withHeaders(vendors(sdk, gateway).compatible('m'), { job })),
    ],
    [
      `livekit() with ai ${major}`,
      overSdk(major, (_sdk, gateway) => livekit({ ...gateway.keys, baseURL: gateway.url, job })('m')),
    ],
  ]),
]

describe.each(doors)('over %s', (_name, ask) => {
  /** Runs one request inside a turn of these hooks; the names it carried that are neither the transport's nor the SDK's. */
  async function sent(hooks: HeaderHooks): Promise<Record<string, string>> {
    await using gateway = await startGateway()
    await hooks.turn({ senderId: 'user-1' }, () => ask(gateway))
    expect(gateway.requests).toHaveLength(1)
    const [request] = gateway.requests
    expect(request?.body).toMatchObject({ model: 'm' })
    const entries = request?.fields.map(([name, value]) => [name.toLowerCase(), value] as const) ?? []
    expect(new Set(entries.map(([name]) => name)).size).toBe(entries.length)
    return Object.fromEntries(entries.filter(([name]) => /^x-(?!livekit)/.test(name)))
  }

  test('S2-06: a handler that throws and one that rejects cost their own headers, and the request goes out', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers: { 'X-Good': 'good-1' } }), { priority: 2 })
    const boom = () => {
      throw new Error('boom')
    }
    hooks.on('before_llm_request', boom, { priority: 1, plugin: 'thrower' })
    hooks.on('before_llm_request', () => Promise.reject(new Error('boom')), { plugin: 'rejecter' })
    hooks.on('before_llm_request', () => ({ headers: { 'X-Also-Good': 'good-2' } }), { priority: -1 })
    expect(await sent(hooks)).toEqual({ 'x-good': 'good-1', 'x-also-good': 'good-2' })
    expect(logs.matching('error').map(({ fields }) => fields.plugin)).toEqual(['thrower', 'rejecter'])
  })

  test('S2-08, S2-09: answers that are empty or no answers leave the others’ headers and the request', async () => {
    using logs = new CapturedLogs()
    for (const answers of [
      [undefined, null, {}, { headers: undefined }, { headers: null }],
      ['x', 5, [], [['a', 'b']]],
    ]) {
      const hooks = createHeaderHooks()
      hooks.on('before_llm_request', () => ({ headers: { 'X-Good': 'good-1' } }))
      for (const answer of answers) {
        hooks.on('before_llm_request', () => answer as never, { priority: 1 })
        hooks.on('before_llm_request', () => answer as never, { priority: -1 })
      }
      expect(await sent(hooks)).toEqual({ 'x-good': 'good-1' })
    }
    expect(logs.matching('warn')).toHaveLength(8)
  })

  test('S2-10: a handler’s mutation reaches neither later handlers nor the wire', async () => {
    using _logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    const seen: unknown[] = []
    hooks.on('before_llm_request', (event) => {
      Reflect.set(event.headers, 'X-Mutated', 'yes')
      Reflect.set(event, 'headers', { 'X-Mutated': 'yes' })
      return { headers: { 'X-Good': 'good-1' } }
    })
    hooks.on('before_llm_request', (event) => {
      seen.push({ ...event.headers })
    })
    expect(await sent(hooks)).toEqual({ 'x-good': 'good-1' })
    expect(seen).toEqual([{ 'X-Good': 'good-1' }])
  })

  test('S2-13, S2-14: injections, forbidden and SDK-owned names stay off the wire', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    const headers = {
      'X-Evil\r\nX-More': 'canary',
      'X-Split': 'a\r\nX-More: canary',
      Host: 'canary',
      Connection: 'canary',
      'Content-Length': '1',
      'Transfer-Encoding': 'canary',
      'Proxy-Authorization': 'canary',
      'x-api-key': 'canary',
      authorization: 'canary',
      'X-LiveKit-Agent-Id': 'canary',
      'x-livekit-inference-priority': 'canary',
      'X-Good': 'good-1',
    }
    hooks.on('before_llm_request', () => ({ headers }), { plugin: 'evil' })
    await hooks.turn({}, () => ask(gateway))
    expect(gateway.requests).toHaveLength(1)
    const [request] = gateway.requests
    expect(request?.head).not.toMatch(/canary|x-more/i)
    expect([request?.header('x-livekit-agent-id'), request?.count('x-livekit-agent-id')]).toEqual(['PA_wire', 1])
    expect([request?.header('x-good'), request?.count('authorization')]).toEqual(['good-1', 1])
    expect(logs.matching('warn', { plugin: 'evil' })).toHaveLength(Object.keys(headers).length - 1)
    expect(logs.text()).not.toContain('canary')
  })

  test('S2-15: a handler that never settles is left, and the request goes out without it', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => new Promise(() => undefined), { timeoutMs: 1, plugin: 'slow' })
    hooks.on('before_llm_request', () => ({ headers: { 'X-Good': 'good-1' } }))
    expect(await sent(hooks)).toEqual({ 'x-good': 'good-1' })
    expect(logs.matching('error', { plugin: 'slow' })).toHaveLength(1)
  })
})
