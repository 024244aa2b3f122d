// Tool calls as irregular vendors stream them: pieces without an index, without ids, with ids that repeat or change, with
// names that come late. One call of the model is one call of the tool, with its arguments whole.

import { beforeAll, describe, expect, test } from 'vitest'
import { ToolCalls } from '../../ts/ai/chat/tool-calls.js'
import type { StreamPart } from '../../ts/ai/spec.js'
import { livekit } from '../../ts/ai.js'
import { collect, loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { startGateway } from '../support/gateway.js'
import type { ChatBody } from '../support/gateway-chat.js'

/** One piece of a `tool_calls` delta: id, index, name, arguments; `undefined` is left out. */
type Piece = [
  id: string | null | undefined,
  index: number | null | undefined,
  name: string | null | undefined,
  args: string,
]

function delta([id, index, name, args]: Piece): object {
  const called = { ...(name === undefined ? {} : { name }), arguments: args }
  return { ...(index === undefined ? {} : { index }), ...(id === undefined ? {} : { id }), function: called }
}

interface Made {
  id: string
  name: string
  input: string
}

/** What comes of pieces; every call must be announced once, before its arguments, and ended. */
function callsOf(pieces: Piece[]): Made[] {
  const parts: StreamPart[] = []
  const calls = new ToolCalls((part) => parts.push(part))
  for (const piece of pieces) calls.add(delta(piece))
  expect(calls.end(true)).toBe(true)
  const open = new Map<string, Made>()
  const made: Made[] = []
  for (const part of parts) {
    if (part.type === 'tool-input-start') {
      expect(open.has(part.id)).toBe(false)
      open.set(part.id, { id: part.id, name: part.toolName, input: '' })
    } else if (part.type === 'tool-input-delta') (open.get(part.id) as Made).input += part.delta
    else if (part.type === 'tool-call') {
      const announced = open.get(part.toolCallId)
      expect(part).toMatchObject({ toolName: announced?.name, input: announced?.input || '{}' })
      made.push({ id: part.toolCallId, name: part.toolName, input: part.input })
    }
  }
  expect(open.size).toBe(made.length)
  return made
}

const named = (made: Made[]) => made.map(({ name, input }) => `${name}(${input})`)

describe('F-A3: pieces', () => {
  test.each<[string, Piece[], string[]]>([
    [
      'no index and an id that repeats',
      [
        ['a', undefined, 'f', '{"x"'],
        ['a', undefined, undefined, ':1'],
        ['a', undefined, undefined, '}'],
      ],
      ['f({"x":1})'],
    ],
    [
      'no index, two ids in turn',
      [
        ['a', undefined, 'f', '{"x"'],
        ['b', undefined, 'g', '{"y"'],
        ['a', undefined, undefined, ':1}'],
        ['b', undefined, undefined, ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'no index, the id only first',
      [
        ['a', undefined, 'f', '{"x"'],
        [undefined, undefined, undefined, ':1}'],
        ['b', undefined, 'g', ''],
        ['', undefined, '', '{}'],
      ],
      ['f({"x":1})', 'g({})'],
    ],
    [
      'the same index twice',
      [
        ['a', 0, 'f', '{"x":1}'],
        ['b', 0, 'g', '{"y"'],
        [undefined, 0, undefined, ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'the same index, ids in turn',
      [
        ['a', 0, 'f', '{"x"'],
        ['b', 0, 'g', '{"y"'],
        ['a', 0, undefined, ':1}'],
        ['b', 0, undefined, ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'the name late',
      [
        ['a', 0, undefined, ''],
        ['b', 1, '', '{"y"'],
        [undefined, 0, null, '{"x"'],
        [undefined, 0, 'f', ':1'],
        [undefined, 1, 'g', ':2}'],
        [undefined, 0, undefined, '}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'the name late and the index used before',
      [
        ['a', 0, 'f', '{"x":1}'],
        ['b', 0, undefined, '{"y"'],
        ['b', 0, 'g', ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'the id late',
      [
        [undefined, 0, 'f', '{"x"'],
        ['a', 0, undefined, ':1}'],
        ['b', 1, 'g', '{}'],
      ],
      ['f({"x":1})', 'g({})'],
    ],
    [
      'no ids',
      [
        [undefined, 0, 'f', '{"x"'],
        [undefined, 1, 'g', '{"y"'],
        [undefined, 0, undefined, ':1}'],
        ['', 1, '', ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'no ids and no index',
      [
        [undefined, undefined, 'f', '{"x"'],
        [null, null, null, ':1}'],
        [undefined, undefined, 'f', '{"x":2}'],
        [undefined, undefined, 'g', ''],
      ],
      ['f({"x":1})', 'f({"x":2})', 'g({})'],
    ],
    [
      'no ids and the same index',
      [
        [undefined, 0, 'f', '{"x":1}'],
        [undefined, 0, 'g', ''],
        [undefined, 0, undefined, '{"y":2}'],
        [undefined, 0, 'g', ''],
        [undefined, 0, undefined, '{"y":3}'],
      ],
      ['f({"x":1})', 'g({"y":2})', 'g({"y":3})'],
    ],
    [
      'a name that repeats',
      [
        ['a', 0, 'f', ''],
        ['a', 0, 'f', '{"x"'],
        ['a', 0, 'f', ':1}'],
        ['a', 0, 'f', ''],
      ],
      ['f({"x":1})'],
    ],
    [
      'the same id for calls at two indices',
      [
        ['a', 0, 'f', '{"x"'],
        ['a', 1, 'g', '{"y"'],
        ['a', 0, undefined, ':1}'],
        ['a', 1, undefined, ':2}'],
      ],
      ['f({"x":1})', 'g({"y":2})'],
    ],
    [
      'the same id for calls one after the other',
      [
        ['a', undefined, 'f', '{"x":1}'],
        ['a', undefined, 'f', '{"x":2}'],
      ],
      ['f({"x":1})', 'f({"x":2})'],
    ],
    [
      'an id made up for every piece',
      [
        ['r1', 0, 'f', '{"x"'],
        ['r2', 0, undefined, ':1'],
        ['r3', 0, undefined, '}'],
        ['r4', 1, 'g', ''],
        ['r5', 1, undefined, '{}'],
      ],
      ['f({"x":1})', 'g({})'],
    ],
    [
      'pieces of nothing',
      [
        ['a', 0, 'f', '{}'],
        ['', 0, '', ''],
        [null, 1, null, ''],
        [undefined, undefined, undefined, ''],
      ],
      ['f({})'],
    ],
  ])('%s', (_name, pieces, expected) => {
    const made = callsOf(pieces)
    expect(named(made)).toEqual(expected)
    expect(new Set(made.map(({ id }) => id)).size).toBe(made.length)
  })

  test('arguments that are an object, and what is no piece at all', () => {
    const parts: StreamPart[] = []
    const calls = new ToolCalls((part) => parts.push(part))
    for (const piece of [null, 5, 'x', {}, { function: null }, { index: 'x', function: 7 }]) calls.add(piece)
    calls.add({ id: 'a', function: { name: 'f', arguments: { x: 1 } } })
    expect(calls.end(true)).toBe(true)
    expect(parts.at(-1)).toEqual({ type: 'tool-call', toolCallId: 'a', toolName: 'f', input: '{"x":1}' })
  })

  test('a call that never gets a name runs nothing', () => {
    const parts: StreamPart[] = []
    const calls = new ToolCalls((part) => parts.push(part))
    calls.add(delta(['a', 0, 'f', '{}']))
    calls.add(delta(['b', 1, undefined, '{}']))
    expect(calls.end(true)).toBe(false)
    expect(parts.some(({ type }) => type === 'tool-call')).toBe(false)
  })
})

// Every way to label pieces that tells the calls apart. `mixed`: whether pieces of several calls may come in turn.
const STYLES: [
  string,
  boolean,
  (call: number, piece: number) => [id: string | undefined, index: number | undefined],
][] = [
  ['as OpenAI', true, (call, piece) => [piece === 0 ? `id${call}` : undefined, call]],
  ['id and index always', true, (call) => [`id${call}`, call]],
  ['only ids', true, (call) => [`id${call}`, undefined]],
  ['only indices', true, (call) => [undefined, call]],
  ['one index, ids always', true, (call) => [`id${call}`, 0]],
  ['one index, ids first', false, (call, piece) => [piece === 0 ? `id${call}` : undefined, 0]],
  ['ids first, no index', false, (call, piece) => [piece === 0 ? `id${call}` : undefined, undefined]],
  ['one id, own indices', true, (call) => ['id', call]],
  ['empty ids after the first', true, (call, piece) => [piece === 0 ? `id${call}` : '', call]],
]

test('F-A3: whatever way calls are labelled, cut and mixed, each runs once with its arguments whole', () => {
  let seed = 11
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  for (let round = 0; round < 4_000; round++) {
    const [style, mixed, label] = STYLES[round % STYLES.length] as (typeof STYLES)[number]
    const ownId = style !== 'one id, own indices' && style !== 'only indices'
    const calls = Array.from({ length: 1 + random(4) }, (_, at) => {
      const input =
        random(4) === 0 ? '{}' : JSON.stringify({ at, text: 'a {"b"} [c]'.slice(0, random(12)), n: [random(99)] })
      const cuts = Array.from({ length: random(4) }, () => random(input.length + 1)).sort((a, b) => a - b)
      const pieces = [...cuts, input.length].map((end, i) => input.slice(cuts[i - 1] ?? 0, end))
      // A name may come late where something else tells the call.
      const late = ownId || style === 'only indices' || style === 'one id, own indices' ? random(pieces.length) : 0
      // The same id at another index is another call only with its name.
      const nameAt = style === 'one id, own indices' ? 0 : late
      return { name: `f${random(2)}`, input, pieces, nameAt }
    })
    const queue = calls.map(({ name, pieces, nameAt }, call) =>
      pieces.map(
        (args, piece): Piece => [...label(call, piece), piece === nameAt ? name : piece % 2 ? '' : undefined, args],
      ),
    )
    const sent: Piece[] = []
    const begun: number[] = []
    while (queue.some((pieces) => pieces.length > 0)) {
      const full = queue.flatMap((pieces, call) => (pieces.length > 0 ? [call] : []))
      const call = (mixed ? full[random(full.length)] : full[0]) as number
      if (!begun.includes(call)) begun.push(call)
      sent.push((queue[call] as Piece[]).shift() as Piece)
    }
    const made = callsOf(sent)
    const expected = begun.map((call) => `${calls[call]?.name}(${calls[call]?.input})`)
    expect(named(made).sort(), `${style}: ${JSON.stringify(sent)}`).toEqual(expected.sort())
    expect(new Set(made.map(({ id }) => id)).size).toBe(made.length)
  }
})

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  const pieces: [string, object[][]][] = [
    [
      'no index and a repeated id',
      [
        [{ id: 'x', function: { name: 'weather', arguments: '{"ci' } }],
        [{ id: 'x', function: { arguments: 'ty":"Oslo"}' } }],
      ],
    ],
    [
      'no ids at all',
      [
        [{ index: 0, function: { name: 'weather', arguments: '{"city":' } }],
        [{ index: 0, function: { arguments: '"Oslo"}' } }],
      ],
    ],
    [
      'the name late',
      [
        [{ index: 0, id: 'x', function: { arguments: '' } }],
        [{ index: 0, function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
      ],
    ],
  ]

  test.each(pieces)(
    'F-A3: a tool runs once a step, with %s, and its result goes back under its own id',
    async (_how, deltas) => {
      await using gateway = await startGateway()
      const events = [
        ...deltas.map((tool_calls) => ({ choices: [{ index: 0, delta: { tool_calls } }] })),
        { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] },
      ]
      gateway.chat = (_body, index) => (index < 2 ? { events } : { text: ['Done.'] })
      const cities: string[] = []
      const inputSchema = sdk.jsonSchema({ type: 'object', properties: { city: { type: 'string' } } })
      const execute = async ({ city }: { city: string }) => cities.push(city)
      const weather = sdk.ai.tool({ inputSchema, execute })
      const model = livekit({ ...gateway.keys, baseURL: gateway.url })('google/gemini-3.5-flash')
      const result = sdk.ai.streamText({ model, prompt: 'Hi.', tools: { weather }, stopWhen: sdk.steps(5) })
      expect(await result.text).toBe('Done.')
      expect(cities).toEqual(['Oslo', 'Oslo'])
      const answered = ((await gateway.request(2)).body as ChatBody).messages
        .filter(({ role }) => role === 'tool')
        .map(({ tool_call_id }) => tool_call_id)
      expect(answered).toHaveLength(2)
      // An id of ours is never used again; one of the vendor's own goes back as it came.
      expect(new Set(answered).size).toBe(_how === 'no ids at all' ? 2 : 1)
    },
  )

  test('F-A3: a whole answer with calls without ids, or with one for all, runs each once', async () => {
    await using gateway = await startGateway()
    const call = (id: string | undefined, city: string) => ({
      ...(id === undefined ? {} : { id }),
      index: 0,
      function: { name: 'weather', arguments: JSON.stringify({ city }) },
    })
    gateway.chat = (_body, index) =>
      index > 0
        ? { text: ['Done.'] }
        : {
            message: {
              role: 'assistant',
              content: null,
              tool_calls: [call('', 'Oslo'), call('x', 'Bergen'), call('x', 'Hamar'), call(undefined, 'Oslo')],
            },
            finishReason: 'tool_calls',
          }
    const cities: string[] = []
    const inputSchema = sdk.jsonSchema({ type: 'object', properties: { city: { type: 'string' } } })
    const weather = sdk.ai.tool({ inputSchema, execute: async ({ city }: { city: string }) => cities.push(city) })
    const model = livekit({ ...gateway.keys, baseURL: gateway.url })('m')
    const { text } = await sdk.ai.generateText({ model, prompt: 'Hi.', tools: { weather }, stopWhen: sdk.steps(3) })
    expect(text).toBe('Done.')
    expect(cities).toEqual(['Oslo', 'Bergen', 'Hamar', 'Oslo'])
  })

  test('F-A3: a call that has no name fails the answer and runs nothing', async () => {
    await using gateway = await startGateway()
    const tool_calls = [{ index: 0, id: 'x', function: { name: '', arguments: '{}' } }]
    gateway.chat = { events: [{ choices: [{ delta: { tool_calls }, finish_reason: 'tool_calls' }] }] }
    let runs = 0
    const pay = sdk.ai.tool({ inputSchema: sdk.jsonSchema({ type: 'object' }), execute: async () => runs++ })
    const errors: Error[] = []
    const onError = ({ error }: { error: Error }) => errors.push(error)
    const model = livekit({ ...gateway.keys, baseURL: gateway.url })('m')
    const result = sdk.ai.streamText({ model, prompt: 'Hi.', tools: { pay }, onError })
    await collect(result.fullStream)
    expect([runs, await result.finishReason]).toEqual([0, 'error'])
    expect(errors.map(({ message }) => message)).toEqual([expect.stringMatching(/tool call without a name/)])
  })
})
