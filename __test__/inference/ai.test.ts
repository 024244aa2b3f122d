// What `withHeaders` does to a model and what it leaves alone: types, frozen objects, calls outside of jobs and turns, and
// what it refuses. On the wire: ai-wire.test.ts.

import { afterEach, expect, test } from 'vitest'
import { withHeaders } from '../../ts/ai.js'
import { RoomhookError } from '../../ts/base/errors.js'
import type { LogRecord } from '../../ts/base/log.js'
import { createHeaderHooks } from '../../ts/inference.js'
import { listen } from '../support/suite-log.js'
import { jobOf, recorder } from './ai-fakes.js'

const records: LogRecord[] = []
listen((record) => records.push(record))
afterEach(() => {
  records.length = 0
  delete process.env.LIVEKIT_WORKER_TOKEN
})

test('S0-05: a value that is no header is left out, and no other', async () => {
  const { model, calls } = recorder()
  const job = {
    id: 'AJ_b\r\nX-Evil: 1',
    room: { sid: 'RM_a' },
    liveRoom: { isConnected: true, localParticipant: { sid: ' ' } },
  }
  await withHeaders(model, { job }).doGenerate({})
  expect(calls[0]?.headers).toEqual({ 'x-livekit-room-id': 'RM_a' })
})

test('S0-03: an agent id is not sent before the room is connected', async () => {
  const { model, calls } = recorder()
  const room = { isConnected: false, localParticipant: { sid: 'PA_early' } }
  const wrapped = withHeaders(model, { job: { id: 'AJ_b', room: { sid: 'RM_a' }, liveRoom: room } })
  await wrapped.doGenerate({})
  room.isConnected = true
  await wrapped.doGenerate({})
  expect(calls.map(({ headers }) => headers?.['x-livekit-agent-id'])).toEqual([undefined, 'PA_early'])
})

test('S0-09: a caller can neither replace nor double the attribution, and is told by name', async () => {
  const { model, calls } = recorder()
  const wrapped = withHeaders(model, { job: jobOf('a') })
  await wrapped.doGenerate({ headers: { 'X-LiveKit-Agent-Id': 'PA_forged', Authorization: 'Bearer vendor' } })
  expect(calls[0]?.headers).toEqual({
    authorization: 'Bearer vendor',
    'x-livekit-agent-id': 'PA_a',
    'x-livekit-job-id': 'AJ_a',
    'x-livekit-room-id': 'RM_a',
  })
  expect(records.map(({ fields }) => [fields.header, fields.reason])).toEqual([
    ['X-LiveKit-Agent-Id', 'name-sdk-owned'],
  ])
  expect(JSON.stringify(records)).not.toContain('PA_forged')
})

test('S0-07: the worker token never goes to a vendor', async () => {
  process.env.LIVEKIT_WORKER_TOKEN = 'worker-token-value'
  const { model, calls } = recorder()
  await withHeaders(model, { job: jobOf('a') }).doGenerate({})
  expect(JSON.stringify(calls)).not.toContain('worker-token-value')
})

test('headers of a scoped hook stay with its provider and base URL', async () => {
  const { model, calls } = recorder()
  const hooks = createHeaderHooks()
  hooks.on('before_llm_request', () => ({ headers: { 'x-p': '1' } }), { providers: ['vendor'] })
  hooks.on('before_llm_request', () => ({ headers: { 'x-q': '1' } }), { providers: ['other'] })
  hooks.on('before_llm_request', () => ({ headers: { 'x-r': '1' } }), { baseURLs: ['https://vendor.example/v1'] })
  await hooks.turn({}, async () => {
    await withHeaders(model).doGenerate({})
    await withHeaders(model, { baseURL: 'https://vendor.example/v1' }).doGenerate({})
  })
  const turn = await hooks.begin({})
  await withHeaders(model, { turn }).doGenerate({})
  expect(calls.map(({ headers }) => headers)).toEqual([{ 'x-p': '1' }, { 'x-p': '1', 'x-r': '1' }, { 'x-p': '1' }])
})

test('attribution: false leaves only what hooks and options add', async () => {
  const { model, calls } = recorder()
  const wrapped = withHeaders(model, { job: jobOf('a'), attribution: false, headers: [['X-Team', 'blue']] })
  await wrapped.doGenerate({ headers: { 'X-Team': undefined, 'X-Other': undefined } })
  expect(calls[0]?.headers).toEqual({ 'x-team': 'blue', 'x-other': undefined })
})

test('an untouched call gets the very options it was given', async () => {
  const { model, calls } = recorder()
  const options = { headers: { 'X-A': '1' } }
  await withHeaders(model, { job: null }).doStream(options)
  expect(calls[0]).toBe(options)
})

class Private {
  readonly specificationVersion = 'v4'
  readonly modelId = 'm'
  readonly #provider = 'private.chat'
  static made = 0
  calls = 0
  get provider(): string {
    return this.#provider
  }
  async doGenerate(_options: object): Promise<string> {
    this.calls++
    return this.#provider
  }
}

test('a wrapped model answers for the original: private members, instanceof, keys, assignment, frozen objects', async () => {
  const original = new Private()
  const wrapped: Private = withHeaders(original, { job: jobOf('a') })
  expect(await wrapped.doGenerate({})).toBe('private.chat')
  expect(wrapped).toBeInstanceOf(Private)
  expect([wrapped.provider, original.calls, 'modelId' in wrapped]).toEqual(['private.chat', 1, true])
  expect(Object.keys(wrapped)).toEqual(Object.keys(original))
  wrapped.calls = 7
  expect(original.calls).toBe(7)
  const { model, calls } = recorder()
  await withHeaders(Object.freeze(model), { job: jobOf('f') }).doGenerate({})
  expect(calls[0]?.headers).toMatchObject({ 'x-livekit-job-id': 'AJ_f' })
})

test('a wrapped provider keeps what it is not asked to change', async () => {
  const { model, calls } = recorder()
  const factory = Object.assign((id: string) => ({ ...model, modelId: id }), {
    languageModel: (id: string) => ({ ...model, modelId: id }),
    tools: { search: () => 'a tool' },
    version: '1',
  })
  const wrapped = withHeaders(Object.freeze(factory), { job: jobOf('p') })
  expect(wrapped.tools.search()).toBe('a tool')
  expect(wrapped.version).toBe('1')
  expect(wrapped.languageModel).toBe(wrapped.languageModel)
  await wrapped('a').doGenerate({})
  await wrapped.languageModel('b').doGenerate({})
  expect(calls.map(({ headers }) => headers?.['x-livekit-job-id'])).toEqual(['AJ_p', 'AJ_p'])
})

test.each([
  ['nothing', undefined],
  ['null', null],
  ['a number', NaN],
  ['a model id', 'openai/gpt-5-mini'],
  ['a plain object', {}],
  ['a model of an unknown specification', { specificationVersion: 'v9', modelId: 'm', doGenerate() {} }],
  ['a model without calls', { specificationVersion: 'v3', modelId: 'm', provider: 'p' }],
  ['a function that makes nothing', () => undefined],
])('%s is refused with a typed error', (_name, value) => {
  const wrap = () => withHeaders(value as never)
  expect(wrap).toThrow(RoomhookError)
  expect(wrap).toThrow(/model must be a model or a provider/)
})

test.each([
  ['an unknown option', { jobs: 1 }, /options\.jobs is not an option; did you mean job/],
  ['a job that is none', { job: 'AJ_1' }, /options\.job must be a job/],
  ['headers that are none', { headers: 'X-A: 1' }, /options\.headers must be/],
  ['a turn that is none', { turn: {} }, /options\.turn must be a turn/],
  ['attribution that is no boolean', { attribution: 'yes' }, /options\.attribution must be a boolean/],
  ['a base URL that is none', { baseURL: 'nowhere' }, /options\.baseURL must be a URL/],
])('%s is refused', (_name, options, message) => {
  expect(() => withHeaders(recorder().model, options as never)).toThrow(message)
})

test('headers that may not be sent are dropped with a warning that names them, never their value', async () => {
  const { model, calls } = recorder()
  const headers = {
    Authorization: 'Bearer secret-value',
    Host: 'evil.example',
    'X-Bad': 'a\r\nX-Evil: secret-value',
    'X-Good': '1',
  }
  await withHeaders(model, { headers, job: null }).doGenerate({})
  expect(calls[0]?.headers).toEqual({ 'x-good': '1' })
  expect(records.map(({ fields }) => fields.header)).toEqual(['Authorization', 'Host', 'X-Bad'])
  expect(JSON.stringify(records)).not.toContain('secret-value')
})
