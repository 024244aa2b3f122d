// The rules of headers as the native core applies them: the vectors, run through the one call that every request makes,
// and the public builder.

import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { native } from '../../ts/base/native.js'
import { RoomhookError } from '../../ts/index.js'
import { GatewayAccess } from '../../ts/inference/gateway.js'
import { anyEntries, join, mergeHeaders, record } from '../../ts/inference/headers.js'
import { type InferenceJob, type InferenceRoom, ownValues, setCurrentJobLookup } from '../../ts/inference/metadata.js'
import { inferenceQuota, quotaHeaders } from '../../ts/inference/quota.js'
import { encodeHeaderValue, inferenceHeaders } from '../../ts/inference.js'
import { twinHeaders } from '../support/headers-twin.mjs'
import { CapturedLogs } from '../support/logs.js'

type Text = string | { repeat: [string, number] }
type Pair = [string, string | null]

interface Vectors {
  names: { name: Text; reason: string | null }[]
  values: { value: Text; call: string | null; own: string | null }[]
  printable: [Text, Text][]
  merge: {
    title: string
    hook?: [string, string][]
    call?: Pair[]
    own?: Pair[]
    forbidTransport?: boolean
    expect: [string, string][]
    dropped?: [string, string][]
  }[]
  hookEntries: { name: Text; value: Text; allowApiKey?: boolean; reason: string | null }[]
  metadata: {
    title: string
    job?: { roomSid: string; jobId: string; roomState: string; agentSid?: string; workerToken?: string }
    workerToken?: string
    provider?: string
    priority?: 'priority' | 'standard' | 'low'
    expect: [string, string][]
  }[]
  percent: [Text, Text][]
  quota: { headers: [string, string][]; expect: Record<string, number> | null }[]
  gateway: { title: string; baseURL?: string; env: Record<string, string>; url?: string; error?: string }[]
  keys: {
    title: string
    apiKey?: string
    apiSecret?: string
    env: Record<string, string>
    expect?: [string, string]
    error?: string
  }[]
}

const vectors = JSON.parse(
  readFileSync(new URL('../../tests/vectors/headers.json', import.meta.url), 'utf8'),
) as Vectors

const UA = 'roomhook/0.0.0 (node v20.0.0)'
/** The SDK's names in the order in which their values cross. */
const OWN = [
  'X-LiveKit-Room-Id',
  'X-LiveKit-Job-Id',
  'X-LiveKit-Agent-Id',
  'X-LiveKit-Worker-Token',
  'X-LiveKit-Session-ID',
  'X-LiveKit-Inference-Provider',
  'X-LiveKit-Inference-Priority',
  'Authorization',
]
const nothing = (): void => undefined

type Layers = { caller?: string; hook?: readonly Pair[]; call?: readonly Pair[]; own?: readonly Pair[] }

/** One merge in the core: what is sent, and what was dropped and why. */
function merged({ caller = 'request', hook = [], call = [], own = [] }: Layers) {
  const dropped: [string, string][] = []
  const report = (name: string, reason: string) => dropped.push([name, reason])
  const pairs = (given: readonly Pair[]) => join(anyEntries([...given], report, nothing))
  const turn = native.headerTurn('')
  record(native.addHookHeaders(turn, pairs(hook), false), nothing)
  const values = OWN.map((name) => own.find(([other]) => other === name)?.[1] ?? '')
  const rules = native.headerRules({ caller, userAgent: UA })
  const headers = mergeHeaders({ rules, turn, own: values.join('\0'), call: pairs(call), session: false }, report)
  return { sent: Object.entries(headers), dropped }
}

const text = (value: Text): string => (typeof value === 'string' ? value : value.repeat[0].repeat(value.repeat[1]))

afterEach(() => {
  vi.unstubAllEnvs()
  setCurrentJobLookup(() => undefined)
})

function environment(values: Record<string, string>): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('LIVEKIT_')) vi.stubEnv(name, undefined)
  for (const [name, value] of Object.entries(values)) vi.stubEnv(name, value)
}

describe('the vectors', () => {
  test.each(vectors.names)('the name $name', ({ name, reason }) => {
    const { sent, dropped } = merged({ call: [[text(name), 'v']] })
    expect(dropped[0]?.[1] ?? null).toBe(reason)
    expect(sent.length).toBe(reason === null ? 2 : 1)
  })

  test.each(vectors.values)('the value $value', ({ value, call, own }) => {
    expect(merged({ call: [['X-A', text(value)]] }).dropped[0]?.[1] ?? null).toBe(call)
    const { sent, dropped } = merged({ own: [['X-LiveKit-Job-Id', text(value).replaceAll('\0', '\x01')]] })
    expect(sent.length).toBe(own === null ? 2 : 1)
    expect(dropped[0]?.[1] ?? null).toBe(own === 'value-empty' ? null : own)
  })

  test.each(vectors.printable)('a name in a log line: %j', (name, printed) => {
    expect(native.printableHeaderName(text(name))).toBe(text(printed))
  })

  test.each(vectors.merge)('S0-09: $title', ({ hook, call, own, forbidTransport, expect: sent, dropped }) => {
    const caller = forbidTransport === true ? 'upgrade' : 'request'
    const layers = { caller, ...(hook && { hook }), ...(call && { call }), ...(own && { own }) }
    expect(merged(layers)).toEqual({ sent: sortOwn(sent), dropped: dropped ?? [] })
  })

  test.each(vectors.hookEntries)('S2-14: a hook’s $name', ({ name, value, allowApiKey, reason }) => {
    const dropped: string[] = []
    const turn = native.headerTurn('')
    const answer = native.addHookHeaders(turn, join([[text(name), text(value)]]), allowApiKey === true)
    const seen = record(answer, (_name, why) => dropped.push(why))
    expect(dropped[0] ?? null).toBe(reason)
    expect(Object.keys(seen).length).toBe(reason === null ? 1 : 0)
    expect(record(native.turnHeaders(turn), nothing)).toEqual(seen)
  })

  test.each(vectors.metadata)('metadata: $title', ({ job, workerToken, provider, priority, expect: expected }) => {
    environment({ LIVEKIT_WORKER_TOKEN: job?.workerToken ?? workerToken ?? '' })
    const room: InferenceRoom = {
      isConnected: job?.roomState === 'connected' || job?.roomState === 'reconnecting',
      localParticipant: { sid: job?.agentSid },
    }
    const view = job && { id: job.jobId, room: { sid: job.roomSid }, liveRoom: room }
    const rules = native.headerRules({ caller: 'request' })
    const own = ownValues(view, { provider, priority }, '')
    expect(Object.entries(mergeHeaders({ rules, own, call: '', session: false }, nothing))).toEqual(expected)
  })

  test('percent-encoding and quotas', () => {
    for (const [plain, encoded] of vectors.percent) {
      expect(encodeHeaderValue(text(plain))).toBe(text(encoded))
      expect(decodeURIComponent(text(encoded))).toBe(text(plain))
    }
    expect(encodeHeaderValue('a\ud800b')).toBe('a%EF%BF%BDb')
    for (const { headers, expect: expected } of vectors.quota) {
      const quota = inferenceQuota(new Headers(headers))
      expect(quota ?? null).toEqual(expected)
      if (quota !== undefined) expect(inferenceQuota(new Headers(quotaHeaders(quota)))).toEqual(quota)
    }
  })

  test.each(vectors.gateway)('S0-14: base URL, $title', ({ baseURL, env, url, error }) => {
    environment({ ...env, LIVEKIT_API_KEY: 'k', LIVEKIT_API_SECRET: 's' })
    const open = () => new GatewayAccess(baseURL === undefined ? {} : { baseURL }, 'options')
    if (error === undefined) expect(open().baseURL).toBe(url)
    else expect(open).toThrow(error)
  })

  test.each(vectors.keys)('S0-14: keys, $title', ({ apiKey, apiSecret, env, expect: expected, error }) => {
    environment(env)
    const given = { ...(apiKey === undefined ? {} : { apiKey }), ...(apiSecret === undefined ? {} : { apiSecret }) }
    const open = () => new GatewayAccess(given, 'options')
    if (error !== undefined) {
      expect(open).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
      expect(open).toThrow(error)
      return
    }
    const claims = JSON.parse(Buffer.from(open().token().split('.')[1] ?? '', 'base64url').toString())
    expect(claims.iss).toBe(expected?.[0])
  })
})

/** The SDK's own names go out in one order, whatever the order of a vector. */
function sortOwn(entries: [string, string][]): [string, string][] {
  const place = ([name]: [string, string]) => OWN.indexOf(name)
  const others = entries.filter((entry) => place(entry) < 0)
  return [...others, ...entries.filter((entry) => place(entry) >= 0).sort((a, b) => place(a) - place(b))]
}

const connected = (sid: unknown): InferenceRoom => ({ isConnected: true, localParticipant: { sid: sid as string } })

const job = (liveRoom?: InferenceRoom): InferenceJob => ({
  id: 'AJ_b',
  room: { sid: 'RM_a' },
  ...(liveRoom && { liveRoom }),
})

describe('inferenceHeaders', () => {
  test('S0-01: outside a job context there is exactly User-Agent', () => {
    const headers = inferenceHeaders()
    expect(Object.keys(headers)).toEqual(['User-Agent'])
    expect(headers['User-Agent']).toMatch(/^roomhook\/\d+\.\d+\.\d+ \(node v\d+\.\d+\.\d+\)$/)
  })

  test('S0-02: in a job with a connected room the ids have their exact spelling', () => {
    const headers = inferenceHeaders(job(connected('PA_c')))
    expect(headers).toEqual({
      'User-Agent': expect.any(String),
      'X-LiveKit-Room-Id': 'RM_a',
      'X-LiveKit-Job-Id': 'AJ_b',
      'X-LiveKit-Agent-Id': 'PA_c',
    })
  })

  test('S0-03: a room that is not connected has no agent id, although a sid-like value exists', () => {
    const headers = inferenceHeaders(job({ isConnected: false, localParticipant: { sid: 'PA_placeholder' } }))
    expect(headers).not.toHaveProperty('X-LiveKit-Agent-Id')
    expect(headers).toMatchObject({ 'X-LiveKit-Room-Id': 'RM_a', 'X-LiveKit-Job-Id': 'AJ_b' })
  })

  test.each(['new', 'connecting', 'disconnected', 'closed'])(
    'S0-04: in a %s room the local participant is not touched',
    () => {
      const touched = vi.fn()
      const room: InferenceRoom = {
        isConnected: false,
        get localParticipant(): never {
          touched()
          throw new Error('cannot access local participant before connecting')
        },
      }
      expect(inferenceHeaders(job(room))).toMatchObject({ 'X-LiveKit-Room-Id': 'RM_a' })
      expect(touched).not.toHaveBeenCalled()
    },
  )

  test.each(['connected', 'reconnecting'])(
    'S0-04: in a %s room a participant that throws costs the agent id only',
    () => {
      const broken: InferenceRoom = {
        isConnected: true,
        get localParticipant(): never {
          throw new Error('gone')
        },
      }
      expect(Object.keys(inferenceHeaders(job(broken)))).toEqual([
        'User-Agent',
        'X-LiveKit-Room-Id',
        'X-LiveKit-Job-Id',
      ])
      expect(Object.keys(inferenceHeaders(job({ isConnected: true })))).toHaveLength(3)
    },
  )

  test('S0-04: a job whose every property throws still gives a User-Agent', () => {
    const hostile = new Proxy({} as InferenceJob, {
      get() {
        throw new Error('no')
      },
    })
    expect(Object.keys(inferenceHeaders(hostile))).toEqual(['User-Agent'])
  })

  test.each([
    ['empty', ''],
    ['whitespace', ' \t '],
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { toString: () => 'PA_mock' }],
    ['a mock', vi.fn()],
    ['with a line break', 'PA\r\nX-Evil: 1'],
    ['with a NUL', 'PA\0'],
    ['not ASCII', 'PÄ'],
  ])('S0-05: a sid that is %s omits that header and no other', (_what, sid) => {
    using _logs = new CapturedLogs()
    const headers = inferenceHeaders(job(connected(sid)))
    expect(Object.keys(headers)).toEqual(['User-Agent', 'X-LiveKit-Room-Id', 'X-LiveKit-Job-Id'])
    const everything = inferenceHeaders({
      id: sid as string,
      room: { sid: sid as string },
      liveRoom: connected('PA_c'),
    })
    expect(Object.keys(everything)).toEqual(['User-Agent', 'X-LiveKit-Agent-Id'])
  })

  test('S0-05: a malformed value is reported once, by name, without the value', () => {
    using logs = new CapturedLogs()
    inferenceHeaders(job(connected('PA\r\ncanary')))
    expect(logs.records).toEqual([
      {
        level: 'warn',
        message: 'a header was not sent',
        fields: { by: 'inferenceHeaders', header: 'X-LiveKit-Agent-Id', reason: 'value-invalid' },
      },
    ])
  })

  test('S0-06: the sid is read anew at each call', () => {
    const room = { isConnected: true, localParticipant: { sid: 'PA_before' } }
    const it = job(room)
    expect(inferenceHeaders(it)['X-LiveKit-Agent-Id']).toBe('PA_before')
    room.localParticipant.sid = 'PA_after'
    expect(inferenceHeaders(it)['X-LiveKit-Agent-Id']).toBe('PA_after')
  })

  test('S0-07: the worker token is there if and only if there is a job and the variable is set', () => {
    using logs = new CapturedLogs()
    vi.stubEnv('LIVEKIT_WORKER_TOKEN', 'canary-worker-token')
    expect(inferenceHeaders()).not.toHaveProperty('X-LiveKit-Worker-Token')
    expect(inferenceHeaders(job())['X-LiveKit-Worker-Token']).toBe('canary-worker-token')
    vi.stubEnv('LIVEKIT_WORKER_TOKEN', '')
    expect(inferenceHeaders(job())).not.toHaveProperty('X-LiveKit-Worker-Token')
    vi.stubEnv('LIVEKIT_WORKER_TOKEN', 'canary-worker-token\n')
    expect(inferenceHeaders(job())).not.toHaveProperty('X-LiveKit-Worker-Token')
    expect(logs.text()).not.toContain('canary')
  })

  test('S0-09: a caller neither adds a second field nor replaces the SDK’s', () => {
    using logs = new CapturedLogs()
    for (const headers of [
      { 'x-livekit-agent-id': 'PA_evil', 'X-A': '1' },
      new Headers({ 'X-LiveKit-Agent-ID': 'PA_evil', 'X-A': '1' }),
      [['X-LIVEKIT-AGENT-ID', 'PA_evil'] as const, ['X-A', '1'] as const],
    ]) {
      const merged = inferenceHeaders(job(connected('PA_c')), { headers })
      const names = Object.keys(merged).map((name) => name.toLowerCase())
      expect(names.filter((name) => name === 'x-livekit-agent-id')).toHaveLength(1)
      expect(merged['X-LiveKit-Agent-Id']).toBe('PA_c')
      expect(merged['X-A'] ?? merged['x-a']).toBe('1')
    }
    expect(logs.matching('warn', { reason: 'name-sdk-owned' })).toHaveLength(3)
    expect(logs.text()).not.toContain('PA_evil')
  })

  test('S0-09: a caller may replace User-Agent, once, and skip entries with undefined', () => {
    const headers = inferenceHeaders(undefined, { headers: { 'user-agent': 'mine/1', 'X-None': undefined } })
    expect(headers).toEqual({ 'user-agent': 'mine/1' })
  })

  test('S0-10: provider and priority are omitted when unset, and exactly three priorities exist', () => {
    expect(Object.keys(inferenceHeaders(null, {}))).toEqual(['User-Agent'])
    for (const priority of ['priority', 'standard', 'low'] as const) {
      const headers = inferenceHeaders(null, { provider: 'openai', priority })
      expect(headers).toMatchObject({
        'X-LiveKit-Inference-Provider': 'openai',
        'X-LiveKit-Inference-Priority': priority,
      })
    }
    for (const priority of ['', 'Low', 'high', 1, null, {}]) {
      expect(() => inferenceHeaders(null, { priority: priority as 'low' })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', details: { path: 'options.priority' } }),
      )
    }
    for (const provider of ['', ' ', 'a\r\nb', 'é', 5, null]) {
      expect(() => inferenceHeaders(null, { provider: provider as string })).toThrow(RoomhookError)
    }
  })

  test('S0-13: the session id is fresh each time, resists override, and is absent outside a job', () => {
    using _logs = new CapturedLogs()
    const one = inferenceHeaders(job(), { sessionId: true })['X-LiveKit-Session-ID']
    const two = inferenceHeaders(job(), { sessionId: true, headers: { 'x-livekit-session-id': 'mine' } })
    expect(one).toMatch(/^inference_[0-9a-f]{12}$/)
    expect(two['X-LiveKit-Session-ID']).toMatch(/^inference_[0-9a-f]{12}$/)
    expect(two['X-LiveKit-Session-ID']).not.toBe(one)
    expect(two).not.toHaveProperty('x-livekit-session-id')
    expect(inferenceHeaders(null, { sessionId: true })).not.toHaveProperty('X-LiveKit-Session-ID')
    expect(inferenceHeaders(job())).not.toHaveProperty('X-LiveKit-Session-ID')
  })

  test('the job of the running context is found by itself; null and an explicit job win over it', () => {
    setCurrentJobLookup(() => job(connected('PA_ambient')))
    expect(inferenceHeaders()['X-LiveKit-Agent-Id']).toBe('PA_ambient')
    expect(inferenceHeaders(job(connected('PA_given')))['X-LiveKit-Agent-Id']).toBe('PA_given')
    expect(inferenceHeaders(null)).not.toHaveProperty('X-LiveKit-Agent-Id')
    expect(inferenceHeaders(undefined, { room: connected('PA_other') })['X-LiveKit-Agent-Id']).toBe('PA_other')
  })

  test('the result is a plain record that fetch takes', () => {
    const headers = inferenceHeaders(job(connected('PA_c')), { headers: { constructor: 'x' } })
    expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
    expect(new Headers(headers).get('x-livekit-agent-id')).toBe('PA_c')
  })

  test.each([5, 'AJ_b', true, Number.NaN, -1, Symbol('job')])('a job that is %s is a ConfigError', (value) => {
    expect(() => inferenceHeaders(value as unknown as InferenceJob)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
  })

  test.each([
    null,
    5,
    [[]],
    { header: {} },
    { headers: null },
    { headers: 5 },
    { headers: [['x']] },
    { headers: new Map([['x', '1']]) },
    { room: null },
    { sessionId: 'yes' },
  ])('options that are %j are a ConfigError', (options) => {
    expect(() => inferenceHeaders(null, options as object)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  test('a getter that throws among the caller’s headers costs its own entry', () => {
    using logs = new CapturedLogs()
    const headers = {
      'X-A': '1',
      get 'X-B'(): string {
        throw new Error('canary')
      },
    }
    expect(inferenceHeaders(null, { headers })).toEqual({ 'User-Agent': expect.any(String), 'X-A': '1' })
    expect(logs.matching('warn', { header: 'X-B' })).toHaveLength(1)
    expect(logs.text()).not.toContain('canary')
  })

  test('values that are no strings are dropped by name', () => {
    using logs = new CapturedLogs()
    const headers = { 'X-A': 1, 'X-B': true, 'X-C': ['1'], 'X-D': 'ok' } as unknown as Record<string, string>
    expect(inferenceHeaders(null, { headers })).toEqual({ 'User-Agent': expect.any(String), 'X-D': 'ok' })
    expect(logs.matching('warn', { reason: 'value-not-a-string' }).map(({ fields }) => fields.header)).toEqual([
      'X-A',
      'X-B',
      'X-C',
    ])
  })
})

test('merging keeps its promises on random input, and agrees with the one written by hand', () => {
  const names = ['X-A', 'x-a', 'Authorization', 'aUTHORIZATION', 'X-LiveKit-Job-Id', 'x\r\n', '', '__proto__', 'é']
  const values = ['', 'v', 'a\r\nb', 'x'.repeat(9000), undefined, null, 3, {}, Number.NaN]
  let state = 7
  const random = (below: number) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  for (let round = 0; round < 3000; round++) {
    const pick = () => [names[random(names.length)] ?? '', values[random(values.length)]] as const
    const call = Array.from({ length: random(12) }, pick)
    const id = values[random(values.length)]
    const rules = native.headerRules({ caller: 'request', userAgent: 'ua' })
    const own = ownValues({ id: id as string }, {}, '')
    const given = join(anyEntries(call, nothing, nothing))
    const merged = mergeHeaders({ rules, own, call: given, session: false }, nothing)
    const twin = twinHeaders({ userAgent: 'ua', call, job: { id } })
    expect(Object.entries(merged)).toEqual(Object.entries(twin))
    const lowers = Object.keys(merged).map((name) => name.toLowerCase())
    expect(new Set(lowers).size).toBe(lowers.length)
    expect(lowers).not.toContain('authorization')
    for (const value of Object.values(merged)) expect(value).toMatch(/^[\t\x20-\x7e]*$/)
    if ('X-LiveKit-Job-Id' in merged) expect(merged['X-LiveKit-Job-Id']).toBe(id)
    expect(lowers.includes('x-livekit-job-id')).toBe('X-LiveKit-Job-Id' in merged)
  }
})
