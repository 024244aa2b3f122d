// What createAgent and the objects it gives refuse: wrong options, wrong arguments, closed objects.

import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type AgentOptions, createAgent, type Job, type JobRequest } from '../../ts/index.js'
import { DOORS, post } from '../support/doors.js'
import { jobBody, SECRET, sign } from '../support/job-webhook.js'
import { CapturedLogs } from '../support/logs.js'
import { StatusDesk } from '../support/status-desk.js'

let logs: CapturedLogs

beforeEach(() => {
  logs = new CapturedLogs()
})

afterEach(() => logs[Symbol.dispose]())

const good: AgentOptions = { secrets: SECRET, entry: () => {} }
const refused = (code = 'CONFIG_INVALID') => expect.objectContaining({ code })

describe('createAgent', () => {
  test.each([undefined, null, 5, 'secret', [], {}])('refuses %j for its options', (options) => {
    expect(() => createAgent(options as never)).toThrow(refused())
  })

  test('names a missing secret and where it may come from', () => {
    expect(() => createAgent({ ...good, secrets: process.env.NO_SUCH_SECRET })).toThrow(/environment variable/)
    expect(() => createAgent({ ...good, secrets: '' })).toThrow(/empty/)
  })

  test.each<[string, unknown]>([
    ['secrets', null],
    ['secrets', []],
    ['secrets', 'short'],
    ['secrets', [SECRET, SECRET, SECRET, SECRET]],
    ['secrets', [{ secret: SECRET, notAfter: Number.NaN }]],
    ['secrets', [{ secret: SECRET, notAftr: 1 }]],
    ['secrets', ['whsec_***']],
    ['entry', undefined],
    ['entry', 'function'],
    ['request', {}],
    ['name', ''],
    ['name', 5],
    ...['maxJobs', 'decisionTimeoutMs', 'clockToleranceS', 'maxBodyBytes', 'bodyTimeoutMs', 'jobTimeoutMs'].flatMap(
      (name): [string, unknown][] => [0, -1, 1.5, Number.NaN, null, '5', 2 ** 60].map((value) => [name, value]),
    ),
    ['shutdownTimeoutMs', -1],
    ['shutdownTimeoutMs', Number.POSITIVE_INFINITY],
    ['scheme', 'none'],
    ['allowInsecure', 'yes'],
    ['allowedServerUrls', 'wss://host'],
    ['allowedServerUrls', ['https://host']],
    ['statusUrl', 'not a url'],
    ['statusUrl', 'ftp://host'],
    ['statusUrl', 'http://198.51.100.1'],
  ])('refuses %s: %j and says which option it is', (name, value) => {
    expect(() => createAgent({ ...good, [name]: value })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(name) }),
    )
  })

  test('suggests the nearest option for a misspelt one', () => {
    expect(() => createAgent({ ...good, maxJob: 1 } as never)).toThrow(
      /options\.maxJob is not an option; did you mean maxJobs\?/,
    )
  })

  test('warns of a weak secret, once, without showing it', () => {
    createAgent({ ...good, secrets: 'sixteen-bytes-ok' })
    expect(logs.records.map((record) => record.level)).toEqual(['warn'])
    expect(logs.text()).not.toContain('sixteen')
  })
})

test('an agent refuses wrong arguments and survives being closed twice', async () => {
  const agent = createAgent(good)
  expect(() => agent.setSecrets('short')).toThrow(refused())
  expect(() => agent.setSecrets(undefined as never)).toThrow(refused())
  for (const options of [null, 5, { timeoutMs: -1 }, { timeoutMs: Number.NaN }, { timeout: 5 }]) {
    expect(() => agent.close(options as never)).toThrow(refused())
  }
  const closed = agent.close()
  expect(agent.close({ timeoutMs: 5 })).toBe(closed)
  await closed
  await agent[Symbol.asyncDispose]()
  expect(() => agent.setSecrets(SECRET)).not.toThrow()
})

test('requests and jobs refuse wrong arguments, and show no token when they are inspected', async () => {
  await using desk = await StatusDesk.open()
  let asked: JobRequest | undefined
  let started: Job | undefined
  const failures: unknown[] = []
  const attempt = (run: () => unknown): void => {
    try {
      run()
      failures.push('nothing was thrown')
    } catch (error) {
      failures.push((error as { code: string }).code)
    }
  }
  const agent = createAgent({
    ...good,
    statusUrl: desk.url,
    request: (request) => {
      asked = request
      for (const wrong of [null, 5, { name: 5 }, { identity: '' }, { attributes: { a: 1 } }, { nam: 'x' }]) {
        attempt(() => request.accept(wrong as never))
      }
      attempt(() => request.reject(5 as never))
      request.accept()
    },
    entry: async (job) => {
      started = job
      for (const wrong of [undefined, null, 5, {}]) {
        attempt(() => job.fail(wrong as never))
        attempt(() => job.onShutdown(wrong as never))
      }
      for (const wrong of [null, 5, { signal: 5 }, { autoSubscribe: 'yes' }]) {
        await job.connect(wrong as never).then(
          () => failures.push('nothing was thrown'),
          (error) => failures.push(error.code),
        )
      }
    },
  })
  const [first] = DOORS
  await using door = (await first?.open(agent)) ?? expect.fail()
  const webhook = sign(await jobBody())
  const ended = new Promise((resolve) => agent.once('jobEnded', (_job, result) => resolve(result)))
  await post(door, webhook)
  await ended
  expect(new Set(failures)).toEqual(new Set(['CONFIG_INVALID']))
  expect(() => asked?.accept()).toThrow(refused('JOB_STATE_CONFLICT'))
  expect(() => started?.complete()).toThrow(refused('JOB_STATE_CONFLICT'))
  await expect(started?.connect()).rejects.toMatchObject({ code: 'JOB_STATE_CONFLICT' })
  expect(inspect([agent, asked, started], { depth: 9, showHidden: true })).not.toMatch(/eyJ|a-webhook-secret/)
  await agent.close()
})

test('listeners that throw, and functions that fail with nobody listening, are logged and harm nothing', async () => {
  await using desk = await StatusDesk.open()
  await using agent = createAgent({
    ...good,
    statusUrl: desk.url,
    entry: () => Promise.reject(new Error('a broken entry')),
  })
  agent.on('job', () => {
    throw new Error('a broken listener')
  })
  agent.on('job', () => Promise.reject(new Error('a broken promise')))
  const response = await agent.fetch(new Request('http://localhost/', { method: 'POST', ...sign(await jobBody()) }))
  expect(response.status).toBe(200)
  await new Promise((resolve) => agent.once('jobEnded', resolve))
  for (const said of ['a broken entry', 'a broken listener', 'a broken promise']) expect(logs.text()).toContain(said)
})

describe('the options that judge a webhook', () => {
  async function statusOf(options: Partial<AgentOptions>, given: { body: string; headers: Record<string, string> }) {
    await using agent = createAgent({ ...good, request: (request) => request.reject(), ...options })
    const response = await agent.fetch(new Request('http://localhost/', { method: 'POST', ...given }))
    return `${response.status} ${await response.text()}`
  }

  test('decisionTimeoutMs bounds request', async () => {
    const request = (): Promise<void> => new Promise(() => {})
    expect(await statusOf({ request, decisionTimeoutMs: 5 }, sign(await jobBody()))).toContain('503')
  })

  test('clockToleranceS widens and narrows the window', async () => {
    const ago = async (seconds: number) => sign(await jobBody({ timestamp: Math.floor(Date.now() / 1_000) - seconds }))
    expect(await statusOf({ clockToleranceS: 10 }, await ago(20))).toContain('401')
    expect(await statusOf({ clockToleranceS: 1_000 }, await ago(900))).toContain('200')
  })

  test('scheme chooses the headers that carry the signature', async () => {
    const { body, headers } = sign(await jobBody())
    const [id, timestamp] = ['msg_1', String(JSON.parse(body).timestamp)]
    const mac = createHmac('sha256', SECRET).update(`${id}.${timestamp}.${body}`).digest('base64')
    const standard = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${mac}`,
    }
    expect(await statusOf({}, { body, headers })).toContain('200')
    expect(await statusOf({ scheme: 'standard' }, { body, headers })).toContain('401')
    expect(await statusOf({}, { body, headers: standard })).toContain('401')
    expect(await statusOf({ scheme: 'standard' }, { body, headers: standard })).toContain('200')
  })

  test('allowInsecure and allowedServerUrls decide which servers are joined', async () => {
    const to = async (server_url: string) => sign(await jobBody({ server_url }))
    expect(await statusOf({}, await to('ws://198.51.100.1'))).toContain('400')
    expect(await statusOf({ allowInsecure: true }, await to('ws://198.51.100.1'))).toContain('200')
    const allowedServerUrls = ['wss://a.example']
    expect(await statusOf({ allowedServerUrls }, await to('wss://a.example/'))).toContain('200')
    expect(await statusOf({ allowedServerUrls }, await to('wss://b.example'))).toContain('allowedServerUrls')
  })
})
