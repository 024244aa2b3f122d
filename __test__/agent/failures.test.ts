// F-R6: one funnel. What a listener of the agent, of a job or of a job's room throws reaches `agent.on('error')`, with the
// job it is about; without a listener the log gets name, redacted message and stack, and never the error itself.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Job } from '../../ts/index.js'
import { post } from '../support/doors.js'
import { ended, JobBench } from '../support/job-bench.js'
import type { CapturedLogs } from '../support/logs.js'

let bench: JobBench
let logs: CapturedLogs

beforeAll(async () => {
  bench = await JobBench.open()
  ;({ logs } = bench)
})

afterEach(() => bench.clear())
afterAll(() => bench[Symbol.asyncDispose]())

/** As those of the AI SDK: with what was asked and answered. */
class CallError extends Error {
  override name = 'CallError'
  readonly requestBodyValues = { prompt: 'a private prompt' }
  readonly responseBody = 'a private answer'
}

const failure = (text: string, options?: ErrorOptions) => new CallError(text, options)

/** An agent whose every listener fails, each in its own words. */
async function fail(
  listen: (job: Job) => void,
  before: (agent: Awaited<ReturnType<typeof bench.start>>) => void = () => {},
  webhook = bench.webhook(),
) {
  const started = await bench.start({
    entry: async (job) => {
      listen(job)
      await job.connect()
      job.complete()
    },
  })
  before(started)
  const given = await webhook
  const end = ended(started.agent)
  await post(started.door, given.webhook)
  await end
  await new Promise((resolve) => setImmediate(resolve))
  return given
}

const everywhere = (job: Job): void => {
  job.on('running', () => {
    throw failure('of the job')
  })
  job.on('ended', () => Promise.reject(failure('of the job, later')))
  job.room.on('connected', () => {
    throw failure('of the room')
  })
  job.room.on('connectionStateChanged', async () => {
    throw failure('of the room, later')
  })
}

describe('F-R6: what listeners throw', () => {
  test('reaches agent.on("error") with its job', async () => {
    const heard: [string, string | undefined][] = []
    const given = await fail(everywhere, ({ agent }) => {
      agent.on('error', (error, job) => heard.push([(error as Error).message, job?.id]))
      agent.on('job', () => {
        throw failure('of the agent')
      })
      agent.on('jobEnded', async () => {
        throw failure('of the agent, later')
      })
    })
    const said = ['of the agent', 'of the agent, later', 'of the job', 'of the job, later', 'of the room']
    expect(heard).toEqual(expect.arrayContaining([...said, 'of the room, later'].map((text) => [text, given.id])))
    expect(new Set(heard.map(([, id]) => id))).toEqual(new Set([given.id]))
  })

  test('stays where an error listener of its own is', async () => {
    const heard: string[] = []
    const own: string[] = []
    await fail(
      (job) => {
        job.room.on('error', (error) => own.push((error as Error).message))
        job.room.on('connected', () => {
          throw failure('of the room')
        })
      },
      ({ agent }) => agent.on('error', (error) => heard.push((error as Error).message)),
    )
    expect([own, heard]).toEqual([['of the room'], []])
  })

  test('is logged without a listener: name, redacted message and stack, and nothing else of it', async () => {
    const given = await bench.webhook()
    const { access_token: token, status_token } = JSON.parse(given.webhook.body) as Record<string, string>
    await fail(
      (job) =>
        job.room.on('connected', () => {
          const cause = failure(`because of ${status_token}`)
          throw failure(`no luck with ${token} and whsec_c2VjcmV0`, { cause })
        }),
      undefined,
      Promise.resolve(given),
    )
    const [record] = logs.matching('error', { jobId: given.id })
    expect(record?.fields.error).toMatchObject({
      name: 'CallError',
      message: expect.stringContaining('[redacted]'),
      stack: expect.stringContaining('failures.test.ts'),
      cause: { name: 'CallError' },
    })
    const text = logs.text()
    for (const secret of ['a private prompt', 'a private answer', 'whsec_c2VjcmV0', token, status_token])
      expect(text).not.toContain(secret)
  })
})
