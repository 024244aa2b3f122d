// The dispatcher's TypeScript surface: what it refuses, what it says, how it ends. What it does with jobs is tested in
// tests/dispatcher against the same real server.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDispatcher, type Dispatcher, type DispatcherOptions } from '../../ts/index.js'
import { Receiver } from '../support/receiver.js'
import { LiveKitServer, roomName } from '../support/server.js'

const SECRET = 'a-webhook-secret-of-thirty-two-bytes!'
let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(() => server[Symbol.asyncDispose]())

function options(url: string, more: Partial<DispatcherOptions> = {}): DispatcherOptions {
  return {
    livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
    listen: '127.0.0.1:0',
    store: ':memory:',
    agents: [{ name: 'greeter', jobTypes: ['JT_ROOM'], endpoints: [{ url, secret: SECRET }] }],
    ...more,
  }
}

const nowhere = 'http://127.0.0.1:9/'

test('options of a wrong type are refused with their path and never abort', () => {
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  for (const [wrong, words] of [
    [null, 'options must be an object, got null'],
    [undefined, 'options must be an object, got undefined'],
    [[], 'options must be an object, got an array'],
    ['x', 'options must be an object, got a string'],
    [{}, 'options.livekit is required'],
    [cycle, 'contains itself'],
    [options(nowhere, { maxJobs: Number.NaN }), 'options.maxJobs must be plain data, got NaN'],
    [options(nowhere, { maxJobs: -1 }), 'options.maxJobs must be a whole number from 1 to 1000000'],
    [options(nowhere, { maxJobs: 1.5 }), 'options.maxJobs must be a whole number'],
    [
      options(nowhere, { listen: (() => '') as unknown as string }),
      'options.listen must be plain data, got a function',
    ],
    [options(nowhere, { store: null as unknown as string }), 'options.store must be a text, got nothing'],
    [{ ...options(nowhere), maxJob: 1 }, 'options.maxJob is not a known key; did you mean maxJobs?'],
    [options('http://agents.example/'), 'options.agents[0].endpoints[0].url must use https:'],
    [options(nowhere, { agents: [] }), 'options.agents must hold at least one enabled agent'],
  ] as const) {
    let caught: unknown
    try {
      createDispatcher(wrong as DispatcherOptions)
    } catch (error) {
      caught = error
    }
    expect(caught, words).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' })
    expect((caught as Error).message).toContain(words)
  }
})

test('a dispatcher that is not started or is closed says so', async () => {
  const dispatcher = createDispatcher(options(nowhere))
  expect([dispatcher.url, dispatcher.address, dispatcher.activeJobs]).toEqual([undefined, undefined, 0])
  await expect(dispatcher.drain()).rejects.toMatchObject({ name: 'ClosedError', code: 'CLOSED' })
  await expect(dispatcher.start(null as never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await expect(dispatcher.start({ signal: 3 as never })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await Promise.all([dispatcher.close(), dispatcher.close()])
  await expect(dispatcher.start()).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(dispatcher.drain()).rejects.toMatchObject({ code: 'CLOSED' })
})

test('what nobody awaits ends no process', async () => {
  // Vitest fails on a rejection that nobody handles, as a process without it would end.
  const dispatcher = createDispatcher(
    options(nowhere, {
      livekit: { url: 'ws://127.0.0.1:9', apiKey: server.apiKey, apiSecret: server.apiSecret },
      startTimeoutMs: 20,
    }),
  )
  void dispatcher.drain()
  void dispatcher.start()
  await expect(dispatcher.start()).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
  void dispatcher.start()
  void dispatcher.close()
  await new Promise((resolve) => setImmediate(resolve))
})

test('a start that fails names its reason and leaves nothing open', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const { port } = blocker.address() as { port: number }
  const listen = `127.0.0.1:${port}`
  const livekit = { url: server.url, apiKey: server.apiKey, apiSecret: 'wrong' }
  const failure = (more: Partial<DispatcherOptions>) => createDispatcher(options(nowhere, more)).start()
  await expect(failure({ listen })).rejects.toMatchObject({
    name: 'ConfigError',
    message: `listen: ${listen} is in use by another program; stop that one or listen elsewhere`,
  })
  await new Promise((resolve) => blocker.close(resolve))
  await expect(failure({ listen, livekit })).rejects.toMatchObject({ name: 'ConfigError', retryable: false })
  const down = failure({ listen, livekit: { ...livekit, url: 'ws://127.0.0.1:9' }, startTimeoutMs: 200 })
  await expect(down).rejects.toMatchObject({ name: 'ConnectionError', code: 'TRANSPORT_FAILED', retryable: true })
  await expect(failure({ store: '/no/such/folder/x.db' })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await using dispatcher = await createDispatcher(options(nowhere, { listen })).start()
  expect(dispatcher.address).toEqual({ host: '127.0.0.1', port })
})

test('an aborted start ends with its reason', async () => {
  const abort = new AbortController()
  const livekit = { url: 'ws://127.0.0.1:9', apiKey: 'k', apiSecret: 's' }
  const starting = createDispatcher(options(nowhere, { livekit })).start({ signal: abort.signal })
  abort.abort('enough')
  await expect(starting).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: 'enough' })
  const early = createDispatcher(options(nowhere)).start({ signal: AbortSignal.abort() })
  await expect(early).rejects.toMatchObject({ code: 'ABORTED' })
})

function collect(dispatcher: Dispatcher): [string, { at: number; jobId?: string }][] {
  const seen: [string, { at: number; jobId?: string }][] = []
  for (const name of ['registered', 'jobOffered', 'jobAssigned', 'attemptStarted', 'delivered', 'jobEnded'] as const) {
    dispatcher.on(name, (event: { at: number; jobId?: string }) => seen.push([name, event]))
  }
  return seen
}

test('a job is told event by event, and a listener that throws harms nobody', async () => {
  await using receiver = await Receiver.start()
  await using dispatcher = await createDispatcher(options(receiver.url)).start()
  const seen = collect(dispatcher)
  const failures: unknown[] = []
  dispatcher.on('error', (error) => failures.push(error))
  dispatcher.on('jobAssigned', () => {
    throw new Error('a listener')
  })
  // Not `once` of node:events, which an `error` event would end.
  const delivered = new Promise((resolve) => dispatcher.once('delivered', resolve))
  const before = Date.now()
  await server.dispatch(roomName(), 'greeter')
  const { body } = await receiver.request()
  await delivered
  expect(dispatcher.activeJobs).toBe(1)
  const ended = once(dispatcher, 'jobEnded')
  const answer = await fetch(body.status_url as string, {
    method: 'POST',
    headers: { authorization: `Bearer ${body.status_token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'JS_FAILED', error: 'because' }),
  })
  expect(answer.status).toBe(200)
  const [end] = (await ended) as [{ at: number }]
  expect(end).toEqual({ jobId: body.job_id, status: 'failed', error: 'because', at: end.at })
  expect(seen.map(([name]) => name)).toEqual([
    'registered',
    'jobOffered',
    'jobAssigned',
    'attemptStarted',
    'delivered',
    'jobEnded',
  ])
  const times = seen.slice(1).map(([, event]) => event.at)
  expect(times).toEqual([...times].sort((a, b) => a - b))
  expect(times[0]).toBeGreaterThan(before - 1_000)
  expect(failures).toHaveLength(1)
  expect(await dispatcher.drain()).toBe(0)
})
