// What any door of an agent answers: one suite over web fetch, Express and bare node:http, on real sockets (S1-21).

import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Agent, type AgentOptions, createAgent, type JobRequest, setLogger } from '../ts/index.js'
import { DOORS, type Door, post, serve } from './support/doors.js'
import { bareToken, jobBody, joinToken, SECRET, sign } from './support/job-webhook.js'
import { StatusDesk } from './support/status-desk.js'

const logged: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[] = []

let desk: StatusDesk

beforeAll(async () => {
  desk = await StatusDesk.open()
})

afterAll(() => desk[Symbol.asyncDispose]())

beforeEach(() => {
  logged.length = 0
  setLogger({ level: 'trace', sink: (record) => void logged.push(record) })
})

/** Sends raw bytes and gives the head of the answer. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString()
    if (answer.includes('\r\n\r\n')) socket.destroy()
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

describe.each(DOORS)('through $name', ({ open }) => {
  const opened: AsyncDisposable[] = []

  async function agentBehindDoor(options: Partial<AgentOptions> = {}): Promise<{ agent: Agent; door: Door }> {
    const agent = createAgent({ secrets: SECRET, entry: () => {}, statusUrl: desk.url, ...options })
    const door = await open(agent)
    opened.push(door, agent)
    return { agent, door }
  }

  afterEach(async () => {
    for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
  })

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
    agent.on('job', (job) => jobs.push(job.participant?.sid ?? ''))
    const body = await jobBody({ job_type: 'JT_PARTICIPANT' })
    for (const sid of ['PA_1', 'PA_2']) {
      await post(door, sign({ ...body, participant: { sid, identity: `caller-${sid}` } }))
    }
    await agent.close()
    expect(jobs).toEqual(['PA_1', 'PA_2'])
  })

  test('S1-15 a token that is expired, endless, for another room or another identity is refused before anything else', async () => {
    let questions = 0
    const { door } = await agentBehindDoor({
      request: (request) => {
        questions += 1
        request.accept()
      },
    })
    const video = { room: 'lobby', roomJoin: true }
    const now = Math.floor(Date.now() / 1_000)
    for (const access_token of [
      bareToken({ sub: 'agent-1', exp: now - 61, video }),
      bareToken({ sub: 'agent-1', video }),
      bareToken({ sub: 'agent-1', exp: now + 600, video: { ...video, room: 'other' } }),
      bareToken({ sub: 'agent-2', exp: now + 600, video }),
      bareToken({ sub: 'agent-1', exp: now + 600, video: { room: 'lobby' } }),
      'not-a-token',
    ]) {
      const room = { sid: 'RM_1', name: 'lobby' }
      const response = await post(door, sign(await jobBody({ room, access_token })))
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ accepted: false, error: expect.stringContaining('access_token') })
    }
    const insecure = await post(door, sign(await jobBody({ server_url: 'ws://198.51.100.1:7880' })))
    expect([insecure.status, await insecure.text()]).toEqual([400, expect.stringContaining('server_url')])
    expect(questions).toBe(0)
  })

  test('S1-16 secrets change without a restart', async () => {
    const fresh = 'another-secret-of-thirty-two-bytes!!'
    const { agent, door } = await agentBehindDoor()
    const status = async (secret: string): Promise<number> => (await post(door, sign(await jobBody(), secret))).status
    expect([await status(SECRET), await status(fresh)]).toEqual([200, 401])
    agent.setSecrets([fresh, { secret: SECRET, notAfter: Date.now() + 60_000 }])
    expect([await status(SECRET), await status(fresh)]).toEqual([200, 200])
    agent.setSecrets([fresh, { secret: SECRET, notAfter: Date.now() - 1 }])
    expect([await status(SECRET), await status(fresh)]).toEqual([401, 200])
    agent.setSecrets(fresh)
    expect([await status(SECRET), await status(fresh)]).toEqual([401, 200])
  })

  test('S1-17 wrong methods, types and encodings are refused', async () => {
    const { door } = await agentBehindDoor()
    const webhook = sign(await jobBody())
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const response = await fetch(door.url, { method })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
      const headers = { ...webhook.headers, 'content-type': type }
      expect((await post(door, { ...webhook, headers })).status).toBe(415)
    }
    const zipped = { ...webhook.headers, 'content-encoding': 'gzip' }
    expect((await post(door, { ...webhook, headers: zipped })).status).toBe(415)
    for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/webhook+json']) {
      const headers = { ...webhook.headers, 'content-type': type, 'content-encoding': 'identity' }
      expect((await post(door, { ...webhook, headers })).status).toBe(200)
    }
  })

  test('S1-17 a body over the limit is refused, with its length declared or not', async () => {
    const { door } = await agentBehindDoor({ maxBodyBytes: 100_000 })
    const declared = await raw(
      door.port,
      'POST /agent HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100001\r\n\r\n{',
    )
    expect(declared).toMatch(/^HTTP\/1.1 413 /)
    const request = httpRequest(door.url, { method: 'POST', headers: { 'content-type': 'application/json' } })
    request.on('error', () => {})
    const answered = once(request, 'response')
    const chunk = Buffer.alloc(60_000, ' ')
    request.write(chunk)
    request.write(chunk)
    const [response] = await answered
    expect(response.statusCode).toBe(413)
    request.destroy()
    const fits = await jobBody({ metadata: 'm'.repeat(98_000) })
    expect((await post(door, sign(fits))).status).toBe(200)
  })

  test('every 401 has the same bytes, and the log tells them apart', async () => {
    const { door } = await agentBehindDoor()
    const good = sign(await jobBody())
    const stale = sign(await jobBody({ timestamp: Math.floor(Date.now() / 1_000) - 301 }))
    const unsigned = { 'content-type': 'application/json' }
    const bad = [
      { ...good, body: `${good.body} ` },
      { ...good, headers: unsigned },
      { ...good, headers: { ...good.headers, 'x-livekit-signature': 'zz' } },
      { ...good, headers: { ...good.headers, 'x-livekit-timestamp': '1' } },
      stale,
    ]
    const answers = new Set<string>()
    for (const webhook of bad) {
      const response = await post(door, webhook)
      answers.add(`${response.status} ${response.headers.get('content-type')} ${await response.text()}`)
    }
    expect([...answers]).toEqual(['401 application/json {"accepted":false,"error":"Invalid signature"}'])
    expect(new Set(logged.map((record) => record.fields.code))).toEqual(
      new Set(['SIGNATURE_MISSING', 'SIGNATURE_INVALID', 'TIMESTAMP_OUT_OF_TOLERANCE']),
    )
  })

  test('a wrong field is named, and another agent is refused', async () => {
    const { door } = await agentBehindDoor({ name: 'echo' })
    const { room: _room, ...roomless } = await jobBody()
    const response = await post(door, sign(roomless))
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('room')])
    expect((await post(door, sign(await jobBody({ agent_name: 'other' })))).status).toBe(403)
    expect((await post(door, sign(await jobBody({ agent_name: 'echo' })))).status).toBe(200)
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

  test('a closing agent asks senders to come again', async () => {
    const { agent, door } = await agentBehindDoor()
    await agent.close()
    const response = await post(door, sign(await jobBody()))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  })

  test('a job of any size up to the limit arrives whole', async () => {
    let seen = ''
    const { agent, door } = await agentBehindDoor()
    agent.on('job', (job) => {
      seen = job.metadata
    })
    const metadata = 'ä😀'.repeat(100_000)
    expect((await post(door, sign(await jobBody({ metadata })))).status).toBe(200)
    await agent.close()
    expect(seen).toBe(metadata)
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

describe('repeated header lines', () => {
  test.each(DOORS.filter((door) => door.name !== 'fetch'))('are refused through $name', async ({ open }) => {
    await using agent = createAgent({ secrets: SECRET, entry: () => {}, statusUrl: desk.url })
    await using door = await open(agent)
    const { body, headers } = sign(await jobBody())
    const line = `X-LiveKit-Signature: ${headers['x-livekit-signature']}\r\n`
    const head = (lines: string): string =>
      `POST /agent HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n${lines}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
    expect(await raw(door.port, head(line + line))).toMatch(/^HTTP\/1.1 401 /)
    expect(await raw(door.port, head(line))).toMatch(/^HTTP\/1.1 200 /)
  })
})
