// Header hooks: order, merging, isolation and everything a handler can do wrong. What reaches a wire is in fetch.test.ts
// and injection.test.ts.

import { createHmac } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import { RoomhookError } from '../../ts/index.js'
import { createHeaderHooks, encodeHeaderValue, type HeaderHookResult, turnHeaders } from '../../ts/inference.js'
import { CapturedLogs } from '../support/logs.js'

/** A promise and its ends (Node 20 has no Promise.withResolvers). */
function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve = (_value: T): void => undefined
  let reject = (_error: unknown): void => undefined
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

const add = (headers: Record<string, unknown>) => () => ({ headers }) as HeaderHookResult

describe('running the handlers', () => {
  test('S2-01: with no handlers the runner resolves undefined and logs nothing', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    expect(await hooks.run({ provider: 'p', modelId: 'm' })).toBeUndefined()
    expect(await hooks.turn({}, () => turnHeaders())).toBeUndefined()
    expect(logs.records).toEqual([])
  })

  test('S2-03: a higher priority runs first, a later handler wins, other names are united', async () => {
    const hooks = createHeaderHooks()
    const order: number[] = []
    hooks.on(
      'before_llm_request',
      () => {
        order.push(5)
        return { headers: { 'X-Shared': 'from-b', 'X-B': 'b' } }
      },
      { priority: 5 },
    )
    hooks.on(
      'before_llm_request',
      async () => {
        order.push(10)
        return { headers: { 'x-shared': 'from-a', 'X-A': 'a' } }
      },
      { priority: 10 },
    )
    expect(await hooks.run()).toEqual({ 'X-Shared': 'from-b', 'X-A': 'a', 'X-B': 'b' })
    expect(order).toEqual([10, 5])
  })

  test('S2-04: equal priorities run in the order of registration', async () => {
    const hooks = createHeaderHooks()
    const order: string[] = []
    for (const name of ['first', 'second', 'third']) {
      hooks.on('before_llm_request', () => {
        order.push(name)
        return { headers: { 'X-Last': name } }
      })
    }
    expect(await hooks.run()).toEqual({ 'X-Last': 'third' })
    expect(order).toEqual(['first', 'second', 'third'])
  })

  test('S2-05: a handler starts only after the one before has settled', async () => {
    const hooks = createHeaderHooks()
    const gate = deferred<undefined>()
    const started: string[] = []
    hooks.on('before_llm_request', async () => {
      started.push('one')
      await gate.promise
      started.push('one is done')
    })
    hooks.on('before_llm_request', () => {
      started.push('two')
    })
    const run = hooks.run()
    await new Promise((resolve) => setImmediate(resolve))
    expect(started).toEqual(['one'])
    gate.resolve(undefined)
    await run
    expect(started).toEqual(['one', 'one is done', 'two'])
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('no database')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
    [
      'throws a string',
      () => {
        throw 'no database'
      },
    ],
  ])('S2-06: a handler that %s is logged once with its plugin, and the others apply', async (_how, fail) => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add({ 'X-Before': '1' }), { priority: 1 })
    hooks.on('before_llm_request', fail as unknown as () => undefined, { plugin: 'rate-limit' })
    hooks.on('before_llm_request', add({ 'X-After': '2' }), { priority: -1 })
    expect(await hooks.run()).toEqual({ 'X-Before': '1', 'X-After': '2' })
    expect(logs.records).toHaveLength(1)
    expect(logs.records[0]).toMatchObject({ level: 'error', fields: { plugin: 'rate-limit' } })
    expect(logs.records[0]?.message).toMatch(
      /^\[hooks\] before_llm_request handler from rate-limit failed: .*no database/,
    )
  })

  test('S2-07: with catchErrors false the turn rejects with the message and the original cause', async () => {
    const hooks = createHeaderHooks({ catchErrors: false })
    const cause = new TypeError('no database')
    hooks.on('before_llm_request', () => Promise.reject(cause), { plugin: 'audit' })
    const fn = vi.fn()
    const error = await hooks.turn({}, fn).catch((thrown: unknown) => thrown)
    expect(RoomhookError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'HOOK_FAILED',
      message: '[hooks] before_llm_request handler from audit failed: TypeError: no database',
    })
    expect((error as Error).cause).toBe(cause)
    expect(fn).not.toHaveBeenCalled()
  })

  test.each([0, 1, 2])('S2-08: answers without headers at position %i leave the others intact', async (position) => {
    using logs = new CapturedLogs()
    for (const nothing of [undefined, null, {}, { headers: undefined }, { headers: null }]) {
      const hooks = createHeaderHooks()
      const handlers = [add({ 'X-A': 'a' }), add({ 'X-B': 'b' })]
      handlers.splice(position, 0, () => nothing as HeaderHookResult)
      for (const handler of handlers) hooks.on('before_llm_request', handler)
      expect(await hooks.run()).toEqual({ 'X-A': 'a', 'X-B': 'b' })
    }
    expect(logs.records).toEqual([])
  })

  test.each([
    ['x'],
    [5],
    [true],
    [[]],
    [Symbol('x')],
    [() => undefined],
    [{ headers: 'x' }],
    [{ headers: 5 }],
    [{ headers: ['X-A', '1'] }],
    [{ headers: new Set(['X-A']) }],
    [new Headers({ 'X-A': '1' })],
    [new Map([['headers', { 'X-A': '1' }]])],
    [{ headers: new Map([['X-A', '1']]) }],
  ])('S2-09: the answer %o is ignored with a warning', async (answer) => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => answer as HeaderHookResult, { plugin: 'odd' })
    hooks.on('before_llm_request', add({ 'X-B': 'b' }))
    expect(await hooks.run()).toEqual({ 'X-B': 'b' })
    expect(logs.records).toHaveLength(1)
    expect(logs.matching('warn', { plugin: 'odd' })).toHaveLength(1)
  })

  test.each([
    ['a Headers object', new Headers({ 'X-A': '1' }), { 'x-a': '1' }],
    ['pairs', [['X-A', '1']], { 'X-A': '1' }],
    ['a record', { 'X-A': '1' }, { 'X-A': '1' }],
    ['a record without a prototype', Object.assign(Object.create(null), { 'X-A': '1' }), { 'X-A': '1' }],
  ])('F-A9: what the type of an answer allows is sent: %s', async (_form, headers, sent) => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers }))
    expect(await hooks.run()).toEqual(sent)
    expect(logs.records).toEqual([])
  })

  test('F-A9: one member that is no pair costs itself, with a warning', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    const headers = [['X-A', '1'], 'canary', ['X-B', '2', 'canary'], ['X-C', '3']] as unknown as [string, string][]
    hooks.on('before_llm_request', () => ({ headers }), { plugin: 'odd' })
    expect(await hooks.run()).toEqual({ 'X-A': '1', 'X-C': '3' })
    expect(logs.matching('warn', { plugin: 'odd' })).toHaveLength(1)
    expect(logs.text()).not.toContain('canary')
  })

  test('F-A9: headers that were not put into `headers` are named with their plugin, never with a value', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ 'X-Direct': 'canary' }) as HeaderHookResult, { plugin: 'direct' })
    const both = { headers: { 'X-A': '1' }, header: { 'X-B': 'canary' } }
    hooks.on('before_llm_request', () => both, { plugin: 'both' })
    expect(await hooks.run()).toEqual({ 'X-A': '1' })
    const warnings = logs.matching('warn').map(({ fields }) => fields)
    const expected = '{ headers: { … } } or nothing'
    expect(warnings).toEqual([
      { plugin: 'direct', expected, got: 'an object with X-Direct' },
      { plugin: 'both', expected, got: 'an object with header' },
    ])
    expect(logs.text()).not.toContain('canary')
  })

  test('a Headers object is taken, and undefined or null values are skipped', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers: new Headers({ 'X-A': '1' }) }))
    hooks.on('before_llm_request', add({ 'X-B': undefined, 'X-C': null, 'X-D': '' }))
    expect(await hooks.run()).toEqual({ 'x-a': '1', 'X-D': '' })
    expect(logs.records).toEqual([])
  })

  test('S2-10: a handler sees provider, model and headers in a frozen copy of its own', async () => {
    using _logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    const events: unknown[] = []
    hooks.on('before_llm_request', (event) => {
      events.push(event)
      expect(event).toMatchObject({ provider: 'livekit', modelId: 'gpt', headers: { 'X-Base': 'base' } })
      // Reflect reports instead of throwing, as sloppy code would notice nothing.
      expect(Reflect.set(event.headers, 'X-Mutated', 'yes')).toBe(false)
      expect(Reflect.set(event, 'headers', {})).toBe(false)
      return { headers: { 'X-One': '1' } }
    })
    hooks.on('before_llm_request', (event) => {
      events.push(event)
      expect(event.headers).toEqual({ 'X-Base': 'base', 'X-One': '1' })
      Object.assign(event.headers, { 'X-Mutated': 'throws' })
    })
    const headers = await hooks.run({ provider: 'livekit', modelId: 'gpt', headers: { 'X-Base': 'base' } })
    expect(headers).toEqual({ 'X-One': '1' })
    expect(events[0]).not.toBe(events[1])
  })

  test('S2-13: an injection in a name or a value drops that entry with a warning without the value', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on(
      'before_llm_request',
      add({
        'X-A\r\nX-Evil: canary': '1',
        'X-B': 'canary\r\nX-Evil: 1',
        'X-C': 'canary\0',
        'X-D': 'canaré',
        'X-E': 'x'.repeat(8193),
        'X-F': 5,
        'X-G': true,
        'X-Ok': 'ok',
      }),
      { plugin: 'evil' },
    )
    expect(await hooks.run()).toEqual({ 'X-Ok': 'ok' })
    expect(logs.records.map(({ level, fields }) => [level, fields.plugin, fields.header, fields.reason])).toEqual([
      ['warn', 'evil', 'X-A…', 'name-invalid'],
      ['warn', 'evil', 'X-B', 'value-invalid'],
      ['warn', 'evil', 'X-C', 'value-invalid'],
      ['warn', 'evil', 'X-D', 'value-invalid'],
      ['warn', 'evil', 'X-E', 'value-too-long'],
      ['warn', 'evil', 'X-F', 'value-not-a-string'],
      ['warn', 'evil', 'X-G', 'value-not-a-string'],
    ])
    expect(logs.text()).not.toMatch(/canar/)
  })

  test('S2-14: x-api-key needs a grant', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add({ 'X-API-Key': 'canary' }), { plugin: 'a' })
    expect(await hooks.run()).toBeUndefined()
    hooks.on('before_llm_request', add({ 'X-API-Key': 'granted' }), { plugin: 'b', allowApiKey: true })
    expect(await hooks.run()).toEqual({ 'X-API-Key': 'granted' })
    expect(logs.matching('warn', { plugin: 'a', header: 'X-API-Key', reason: 'name-forbidden' })).toHaveLength(2)
    expect(logs.text()).not.toMatch(/canary|granted/)
  })

  test('at most 64 names go out; a known one can still be replaced', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add(Object.fromEntries(Array.from({ length: 70 }, (_, at) => [`X-${at}`, '1']))))
    hooks.on('before_llm_request', add({ 'x-0': '2' }))
    const headers = await hooks.run()
    expect(Object.keys(headers ?? {})).toHaveLength(64)
    expect(headers?.['x-0']).toBe('2')
    expect(logs.matching('warn', { reason: 'too-many' })).toHaveLength(6)
  })

  test('S2-15: a handler that never settles is skipped and logged; its late answer is discarded', async () => {
    vi.useFakeTimers()
    try {
      using logs = new CapturedLogs()
      const hooks = createHeaderHooks()
      const late = deferred<HeaderHookResult>()
      const broken = deferred<HeaderHookResult>()
      hooks.on('before_llm_request', () => late.promise, { plugin: 'slow' })
      hooks.on('before_llm_request', () => broken.promise, { plugin: 'slower', timeoutMs: 100 })
      hooks.on('before_llm_request', add({ 'X-B': 'b' }))
      const run = hooks.run()
      await vi.advanceTimersByTimeAsync(4_999)
      expect(logs.records).toEqual([])
      await vi.advanceTimersByTimeAsync(1)
      await vi.advanceTimersByTimeAsync(100)
      expect(await run).toEqual({ 'X-B': 'b' })
      late.resolve({ headers: { 'X-Late': '1' } })
      broken.reject(new Error('late'))
      await vi.advanceTimersByTimeAsync(0)
      expect(logs.matching('error').map(({ fields }) => fields.plugin)).toEqual(['slow', 'slower'])
      expect(logs.records[0]?.message).toMatch(/no answer within 5000 ms/)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('S2-15: with catchErrors false an expired handler rejects with HOOK_TIMEOUT', async () => {
    const hooks = createHeaderHooks({ catchErrors: false, timeoutMs: 1 })
    hooks.on('before_llm_request', () => new Promise(() => undefined), { plugin: 'slow' })
    await expect(hooks.begin()).rejects.toMatchObject({ code: 'HOOK_TIMEOUT', name: 'JobError' })
  })

  test('a disposer removes its handler, and a change during a run counts from the next one', async () => {
    const hooks = createHeaderHooks()
    const dispose = hooks.on('before_llm_request', () => {
      dispose()
      hooks.on('before_llm_request', add({ 'X-New': '1' }))
      return { headers: { 'X-Old': '1' } }
    })
    const disposeLater = hooks.on('before_llm_request', add({ 'X-Other': '1' }))
    expect(await hooks.run()).toEqual({ 'X-Old': '1', 'X-Other': '1' })
    expect(await hooks.run()).toEqual({ 'X-New': '1', 'X-Other': '1' })
    disposeLater()
    disposeLater()
    expect(await hooks.run()).toEqual({ 'X-New': '1' })
  })

  test('adding and removing inside of hooks leaves nothing behind', async () => {
    const hooks = createHeaderHooks()
    let calls = 0
    for (let round = 0; round < 2_000; round++) {
      const dispose = hooks.on('before_llm_request', () => {
        calls += 1
        dispose()
      })
      await hooks.run()
    }
    expect(calls).toBe(2_000)
    expect(await hooks.run()).toBeUndefined()
  })
})

describe('who speaks', () => {
  const speaker = { senderId: 'alice', senderName: 'Alice', sessionKey: 'session-1', channel: 'sip', agentId: 'agent' }

  async function seenBy(options: Parameters<typeof createHeaderHooks>[0], context: object): Promise<object> {
    const hooks = createHeaderHooks(options)
    let seen: object = {}
    hooks.on('before_llm_request', (_event, given) => {
      seen = given
    })
    await hooks.begin(context)
    return seen
  }

  test('S2-16: a handler gets exactly the fields there are; an empty or missing one is undefined', async () => {
    const all = { shareSender: true }
    expect(await seenBy(all, speaker)).toEqual(speaker)
    expect(await seenBy(all, { senderId: 'alice', senderName: '', channel: undefined })).toEqual({ senderId: 'alice' })
    expect(await seenBy(all, { channel: 'cron' })).toEqual({ channel: 'cron' })
    expect(Object.isFrozen(await seenBy(all, speaker))).toBe(true)
  })

  test('who speaks and in which session stays here unless it was shared', async () => {
    expect(await seenBy(undefined, speaker)).toEqual({ channel: 'sip', agentId: 'agent' })
    expect(await seenBy({ shareSender: false }, speaker)).toEqual({ channel: 'sip', agentId: 'agent' })
  })

  test('with a key, ids are shared as keyed hashes and the name is not shared', async () => {
    const hashKey = 'a key of sixteen bytes or more'
    const hash = (value: string) => createHmac('sha256', hashKey).update(value).digest('hex')
    expect(await seenBy({ shareSender: true, hashKey }, speaker)).toEqual({
      senderId: hash('alice'),
      sessionKey: hash('session-1'),
      channel: 'sip',
      agentId: 'agent',
    })
    expect(await seenBy({ shareSender: true, hashKey: Buffer.from(hashKey) }, speaker)).toHaveProperty(
      'senderId',
      hash('alice'),
    )
  })

  test('shared with one provider, it is neither seen nor sent in calls to another', async () => {
    const hooks = createHeaderHooks({ shareSender: { providers: ['livekit'] } })
    hooks.on('before_llm_request', (_event, { senderId, channel }) => ({
      headers: { 'X-Sender': senderId, 'X-Channel': channel },
    }))
    const elsewhere = await hooks.begin({ ...speaker, provider: 'openai.chat' })
    expect(elsewhere.headers({ provider: 'openai.chat' })).toEqual({ 'X-Channel': 'sip' })
    const here = await hooks.begin({ ...speaker, provider: 'livekit.chat' })
    expect(here.headers({ provider: 'livekit.chat' })).toEqual({ 'X-Sender': 'alice', 'X-Channel': 'sip' })
    // A fallback model inside the same turn: the handler saw the sender, so nothing of it goes there.
    expect(here.headers({ provider: 'openai.chat' })).toEqual({})
    expect(here.headers()).toEqual({})
  })

  test('a handler can be limited to providers and base URLs', async () => {
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add({ 'X-Gateway': '1' }), { baseURLs: ['https://gateway.example/v1'] })
    hooks.on('before_llm_request', add({ 'X-OpenAI': '1' }), { providers: ['openai'] })
    const turn = await hooks.begin({})
    expect(turn.headers({ provider: 'openai.responses' })).toEqual({ 'X-OpenAI': '1' })
    expect(turn.headers({ provider: 'openai-clone' })).toEqual({})
    const at = (baseURL: string) => turn.headers({ baseURL })
    expect(at('https://gateway.example/v1')).toEqual({ 'X-Gateway': '1' })
    expect(at('https://gateway.example/v1/beta/')).toEqual({ 'X-Gateway': '1' })
    for (const other of [
      'https://gateway.example/v10',
      'https://gateway.example/',
      'http://gateway.example/v1',
      'https://gateway.example.evil/v1',
      'https://gateway.example:444/v1',
      'nonsense',
    ]) {
      expect(at(other), other).toEqual({})
    }
  })

  test('an error of a handler is logged without the values it could know', async () => {
    using logs = new CapturedLogs()
    const hooks = createHeaderHooks({ shareSender: true })
    hooks.on('before_llm_request', add({ 'X-A': 'canary-header' }))
    hooks.on('before_llm_request', (event, { senderId }) => {
      throw new Error(
        `cannot look up ${senderId} with ${event.headers['X-A']} and ${event.headers['X-Base']}\r\nforged`,
      )
    })
    await hooks.run({ senderId: 'canary-sender', headers: { 'X-Base': 'canary-base' } })
    expect(logs.matching('error')).toHaveLength(1)
    expect(logs.text()).not.toMatch(/canary/)
    expect(logs.records[0]?.message).not.toMatch(/[\r\n]/)
    expect(logs.text()).toMatch(/cannot look up \[redacted\] with \[redacted\] and \[redacted\]/)
  })

  test('a display name fits a header once it is percent-encoded', async () => {
    const hooks = createHeaderHooks({ shareSender: true })
    hooks.on('before_llm_request', (_event, { senderName = '' }) => ({
      headers: { 'X-Sender-Name': encodeHeaderValue(senderName) },
    }))
    expect(await hooks.run({ senderName: 'Zoë ☃' })).toEqual({ 'X-Sender-Name': 'Zo%C3%AB%20%E2%98%83' })
  })
})

describe('turns', () => {
  test('S2-11: the handlers run once a turn, and the next turn runs them again', async () => {
    const hooks = createHeaderHooks()
    const handler = vi.fn(() => ({ headers: { 'X-Turn': String(handler.mock.calls.length) } }))
    hooks.on('before_llm_request', handler)
    const seen = (await hooks.turn({}, async (turn) => {
      const first = turnHeaders()
      await new Promise((resolve) => setImmediate(resolve))
      return [first, turnHeaders(), await Promise.resolve().then(() => turnHeaders()), turn.headers()]
    })) as unknown[]
    expect(seen).toEqual(Array.from({ length: 4 }, () => ({ 'X-Turn': '1' })))
    expect(handler).toHaveBeenCalledTimes(1)
    expect(turnHeaders()).toBeUndefined()
    expect(await hooks.turn({}, () => turnHeaders())).toEqual({ 'X-Turn': '2' })
  })

  test('S2-11, S0-16: turns that overlap keep their own headers', async () => {
    const hooks = createHeaderHooks({ shareSender: true })
    hooks.on('before_llm_request', async (_event, { senderId }) => {
      await new Promise((resolve) => setImmediate(resolve))
      return { headers: { 'X-Sender': senderId } }
    })
    const one = async (senderId: string) =>
      hooks.turn({ senderId }, async () => {
        const seen = new Set<string | undefined>()
        for (let step = 0; step < 20; step++) {
          await new Promise((resolve) => setImmediate(resolve))
          seen.add(turnHeaders()?.['X-Sender'])
        }
        return [...seen]
      })
    const names = Array.from({ length: 20 }, (_, at) => `sender-${at}`)
    expect(await Promise.all(names.map(one))).toEqual(names.map((name) => [name]))
  })

  test('a turn can be entered again by its handle, from anywhere', async () => {
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add({ 'X-A': '1' }))
    const turn = await hooks.begin()
    expect(turnHeaders()).toBeUndefined()
    expect(turn.run(() => turnHeaders())).toEqual({ 'X-A': '1' })
    expect(turnHeaders({}, turn)).toEqual({ 'X-A': '1' })
    const copy = turn.headers()
    copy['X-A'] = 'changed'
    expect(turn.headers()).toEqual({ 'X-A': '1' })
  })

  test('turns of several registries add up, the inner above the outer; one registry replaces its own', async () => {
    const outer = createHeaderHooks()
    outer.on('before_llm_request', add({ 'X-Shared': 'outer', 'X-Outer': '1' }))
    const inner = createHeaderHooks()
    inner.on('before_llm_request', add({ 'x-shared': 'inner', 'X-Inner': '1' }))
    const united = await outer.turn({}, () => inner.turn({}, () => turnHeaders()))
    expect(united).toEqual({ 'x-shared': 'inner', 'X-Outer': '1', 'X-Inner': '1' })
    const empty = createHeaderHooks()
    expect(await outer.turn({}, () => empty.turn({}, () => turnHeaders()))).toEqual({
      'X-Shared': 'outer',
      'X-Outer': '1',
    })
    let count = 0
    const counting = createHeaderHooks()
    counting.on('before_llm_request', () => ({ headers: { [`X-${++count}`]: '1' } }))
    expect(await counting.turn({}, () => counting.turn({}, () => turnHeaders()))).toEqual({ 'X-2': '1' })
  })

  test('what the function returns or throws is what the turn returns or throws', async () => {
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', add({ 'X-A': '1' }))
    expect(await hooks.turn({}, () => 5)).toBe(5)
    const failure = new Error('mine')
    await expect(hooks.turn({}, () => Promise.reject(failure))).rejects.toBe(failure)
  })
})

describe('wrong arguments', () => {
  const wrong = (code = 'CONFIG_INVALID') => expect.objectContaining({ code })

  test.each([
    null,
    5,
    [[]],
    { catchError: true },
    { catchErrors: 1 },
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { hashKey: 'short' },
    { hashKey: 5 },
    { shareSender: 'yes' },
    { shareSender: { provider: 'x' } },
    { shareSender: { providers: 'x' } },
    { shareSender: { baseURLs: ['x'] } },
  ])('createHeaderHooks(%j)', (options) => {
    expect(() => createHeaderHooks(options as object)).toThrow(wrong())
  })

  test.each([
    ['another event', 'before_request', () => undefined, undefined],
    ['no handler', 'before_llm_request', undefined, undefined],
    ['a handler that is no function', 'before_llm_request', {}, undefined],
    ['options that are null', 'before_llm_request', () => undefined, null],
    ['a misspelt option', 'before_llm_request', () => undefined, { prio: 1 }],
    ['a priority that is NaN', 'before_llm_request', () => undefined, { priority: Number.NaN }],
    ['a priority that is text', 'before_llm_request', () => undefined, { priority: '1' }],
    ['a timeout of -1', 'before_llm_request', () => undefined, { timeoutMs: -1 }],
    ['a timeout above ten minutes', 'before_llm_request', () => undefined, { timeoutMs: 600_001 }],
    ['an empty plugin', 'before_llm_request', () => undefined, { plugin: '' }],
    ['a plugin that forges log lines', 'before_llm_request', () => undefined, { plugin: 'a\nb' }],
    ['a base URL that is none', 'before_llm_request', () => undefined, { baseURLs: ['gateway'] }],
  ])('on() with %s', (_what, event, handler, options) => {
    const hooks = createHeaderHooks()
    expect(() => hooks.on(event as 'before_llm_request', handler as () => undefined, options as object)).toThrow(
      wrong(),
    )
  })

  test.each([null, 5, { sender: 'x' }, { senderId: 5 }, { headers: 5 }])('a context that is %j', async (context) => {
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => undefined)
    await expect(hooks.begin(context as object)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(hooks.turn(context as object, () => 1)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('a turn without a function', async () => {
    await expect(createHeaderHooks().turn({}, undefined as unknown as () => void)).rejects.toThrow(wrong())
  })
})
