// What becomes of an acceptable webhook at any door of an agent: decided, answered once, remembered, counted. One suite over
// web fetch, Express and bare node:http, on real sockets (S1-21). What is refused before that is in agent-refusals.test.ts.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type AgentOptions, createAgent, type JobRequest } from '../../ts/index.js'
import { DOORS, Openings, post, serve } from '../support/doors.js'
import { jobBody, joinToken, SECRET, sign } from '../support/job-webhook.js'
import { StatusDesk } from '../support/status-desk.js'
import { listen } from '../support/suite-log.js'

listen(() => {})

let desk: StatusDesk

beforeAll(async () => {
  desk = await StatusDesk.open()
})

afterAll(() => desk[Symbol.asyncDispose]())

describe.each(DOORS)('through $name', ({ open }) => {
  const openings = new Openings(open)
  const agentBehindDoor = (options: Partial<AgentOptions> = {}) => openings.agent({ statusUrl: desk.url, ...options })
  afterEach(() => openings.close())

  test('S1-08 an accepted job is answered with the identity in its token', async () => {
    const { door } = await agentBehindDoor()
    const response = await post(door, sign(await jobBody()))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.text()).toBe('{"accepted":true,"participant_identity":"agent-1"}')
  })

  test('S1-08 what accept() says is in the answer', async () => {
    const { door } = await agentBehindDoor({
      request: (request) =>
        request.accept({ name: 'Ada', metadata: '{"role":"greeter"}', attributes: { mood: 'good' } }),
    })
    expect(await (await post(door, sign(await jobBody()))).json()).toEqual({
      accepted: true,
      participant_identity: 'agent-1',
      participant_name: 'Ada',
      participant_metadata: '{"role":"greeter"}',
      participant_attributes: { mood: 'good' },
    })
  })

  test('S1-08 another identity than the token carries throws in the function and is a rejection when left to itself', async () => {
    const errors: unknown[] = []
    const { agent, door } = await agentBehindDoor({ request: (request) => request.accept({ identity: 'somebody' }) })
    agent.on('error', (error) => errors.push(error))
    const response = await post(door, sign(await jobBody()))
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{"accepted":false,"error":"identity mismatch"}')
    expect(errors).toMatchObject([{ code: 'IDENTITY_MISMATCH' }])

    const { door: handled } = await agentBehindDoor({
      request: (request) => {
        try {
          request.accept({ identity: 'somebody' })
        } catch {
          request.accept()
        }
      },
    })
    expect(await (await post(handled, sign(await jobBody()))).json()).toMatchObject({ accepted: true })
  })

  test('S1-09 a rejected job opens no socket and reports nothing', async () => {
    let sockets = 0
    await using elsewhere = await serve((_request, response) => {
      sockets += 1
      response.end()
    })
    const { agent, door } = await agentBehindDoor({ request: (request) => request.reject('not today') })
    const response = await post(
      door,
      sign(
        await jobBody({
          server_url: `ws://127.0.0.1:${elsewhere.port}`,
          status_url: `http://127.0.0.1:${elsewhere.port}/status`,
          status_token: 'bearer',
        }),
      ),
    )
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('{"accepted":false,"error":"not today"}')
    expect(agent.jobs).toEqual([])
    await agent.close()
    expect(sockets).toBe(0)
  })

  test('S1-10 ten identical deliveries at once are one question, one job and ten identical answers', async () => {
    let questions = 0
    let entries = 0
    let decide: (() => void) | undefined
    const asked = new Promise<void>((resolve) => {
      decide = resolve
    })
    const { door } = await agentBehindDoor({
      request: async (request) => {
        questions += 1
        await asked
        request.accept({ metadata: String(questions) })
      },
      entry: () => {
        entries += 1
      },
    })
    const body = await jobBody()
    const deliveries = Array.from({ length: 10 }, (_, index) => post(door, sign({ ...body, attempt: index + 1 })))
    // The answers are held back until all ten are in.
    setImmediate(() => decide?.())
    const answers = await Promise.all(deliveries.map(async (delivery) => (await delivery).text()))
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toContain('"accepted":true')
    const later = await post(door, sign(body))
    expect(await later.text()).toBe(answers[0])
    expect([questions, entries]).toEqual([1, 1])
  })

  test('S1-11 the same job id for two participants is two jobs', async () => {
    const jobs: string[] = []
    const { agent, door } = await agentBehindDoor()
    agent.on('job', (job) => jobs.push(job.info.participant?.sid ?? ''))
    const body = await jobBody({ job_type: 'JT_PARTICIPANT' })
    for (const sid of ['PA_1', 'PA_2']) {
      await post(door, sign({ ...body, participant: { sid, identity: `caller-${sid}` } }))
    }
    await agent.close()
    expect(jobs).toEqual(['PA_1', 'PA_2'])
  })

  test('S1-18 a full agent says so, and takes jobs again once one has ended', async () => {
    let finish: (() => void) | undefined
    const { agent, door } = await agentBehindDoor({
      maxJobs: 1,
      entry: (job) =>
        new Promise<void>((resolve) => {
          finish = resolve
          job.signal.addEventListener('abort', () => resolve())
        }),
    })
    const started = once(agent, 'job')
    expect(await (await post(door, sign(await jobBody()))).json()).toMatchObject({ accepted: true })
    await started
    const full = await post(door, sign(await jobBody()))
    expect([full.status, await full.text()]).toEqual([200, '{"accepted":false,"error":"at capacity"}'])
    await new Promise((resolve) => setImmediate(resolve))
    const ended = once(agent, 'jobEnded')
    finish?.()
    await ended
    expect(await (await post(door, sign(await jobBody()))).json()).toMatchObject({ accepted: true })
  })

  test.each<[string, (request: JobRequest) => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
      'boom',
    ],
    [
      'rejects',
      async () => {
        throw new Error('boom')
      },
      'boom',
    ],
    [
      'throws null',
      () => {
        throw null
      },
      '',
    ],
    ['returns without an answer', () => {}, 'HOOK_RETURN_INVALID'],
    ['gives accept a wrong option', (request) => request.accept({ nmae: 'x' } as object), 'did you mean name?'],
  ])('a function that %s is a 500 that tells nothing, and is asked again', async (_name, misbehave, said) => {
    const errors: unknown[] = []
    let calls = 0
    const { agent, door } = await agentBehindDoor({
      request: (request) => {
        calls += 1
        return calls === 1 ? misbehave(request) : request.accept()
      },
    })
    agent.on('error', (error) => errors.push(error))
    const webhook = sign(await jobBody())
    const first = await post(door, webhook)
    expect([first.status, await first.text()]).toEqual([500, '{"accepted":false,"error":"Internal server error"}'])
    expect(errors).toHaveLength(1)
    const error = errors[0] as { code?: string; message?: string } | null
    expect(`${error?.code} ${error?.message}`).toContain(said)
    expect((await post(door, webhook)).status).toBe(200)
  })

  test('a function that takes too long is a 503 to be tried again, also when the sender waits less', async () => {
    const late: unknown[] = []
    let answer: JobRequest | undefined
    const { agent, door } = await agentBehindDoor({
      request: (request) => {
        answer = request
        return new Promise(() => {})
      },
    })
    agent.on('error', (error) => late.push(error))
    const response = await post(door, sign(await jobBody({ deadline_ms: 20 })))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(late).toMatchObject([{ code: 'HOOK_TIMEOUT' }])
    expect(() => answer?.accept()).toThrow(expect.objectContaining({ code: 'JOB_STATE_CONFLICT' }))
  })

  test('a job is not lost when its sender goes away while it is being decided', async () => {
    let decide: ((request: JobRequest) => void) | undefined
    const asked = new Promise<JobRequest>((resolve) => {
      decide = resolve
    })
    const { agent, door } = await agentBehindDoor({
      request: (request) => {
        decide?.(request)
        return new Promise(() => {})
      },
    })
    const webhook = sign(await jobBody())
    const given = new AbortController()
    const first = fetch(door.url, { method: 'POST', ...webhook, signal: given.signal }).catch(() => 'gone')
    const request = await asked
    given.abort()
    expect(await first).toBe('gone')
    const started = once(agent, 'job')
    request.accept()
    await started
    expect(await (await post(door, webhook)).json()).toMatchObject({ accepted: true })
  })

  test('an offer is answered and starts nothing; its job is asked about again', async () => {
    const questions: boolean[] = []
    const { agent, door } = await agentBehindDoor({
      request: (request) => {
        questions.push(request.offer)
        request.accept(request.offer ? { identity: 'chosen', name: 'Ada' } : {})
      },
    })
    const { access_token: _token, participant_identity: _identity, ...offer } = await jobBody({ event: 'offer' })
    expect(await (await post(door, sign(offer))).json()).toEqual({
      accepted: true,
      participant_identity: 'chosen',
      participant_name: 'Ada',
    })
    expect(agent.jobs).toEqual([])
    const room = offer.room as { name: string }
    const job = { ...offer, event: 'job', access_token: await joinToken(room.name, { identity: 'chosen' }) }
    expect(await (await post(door, sign(job))).json()).toMatchObject({ participant_identity: 'chosen' })
    expect(questions).toEqual([true, false])
  })

  test('a job that is terminated has its signal aborted', async () => {
    const { agent, door } = await agentBehindDoor({
      entry: (job) => new Promise<void>((resolve) => job.signal.addEventListener('abort', () => resolve())),
    })
    const body = await jobBody()
    const started = once(agent, 'job')
    await post(door, sign(body))
    const [job] = await started
    const ended = once(agent, 'jobEnded')
    const { job_id, room, timestamp } = body
    const notice = sign({ event: 'terminated', job_id, room, reason: 'cancelled', timestamp })
    const response = await post(door, notice)
    expect([response.status, await response.text()]).toEqual([200, '{}'])
    await ended
    expect(job.signal.reason).toMatchObject({ code: 'ABORTED', details: { reason: 'terminated' } })
    expect((await post(door, notice)).status).toBe(200)
  })
})

test('F-W7: two receivers each start the same delivery, and the README promises no more than that', async () => {
  const entries: string[] = []
  const agents = ['first', 'second'].map((name) =>
    createAgent({ secrets: SECRET, statusUrl: desk.url, entry: () => void entries.push(name) }),
  )
  const webhook = sign(await jobBody())
  for (const agent of agents) {
    const ended = once(agent, 'jobEnded')
    const request = () => new Request('http://localhost/agent', { method: 'POST', ...webhook })
    expect([(await agent.fetch(request())).status, (await agent.fetch(request())).status]).toEqual([200, 200])
    await ended
    await agent.close()
  }
  expect(entries).toEqual(['first', 'second'])
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  expect(readme.match(/exactly once.*/g)).toEqual([expect.stringMatching(/^exactly once per process/)])
})
