// What any door of an agent refuses, and with which answer: methods, types, sizes, slowness, signatures, tokens, names, and
// everything once it closes. One suite over web fetch, Express and bare node:http, on real sockets (S1-21).

import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AgentOptions, createAgent } from '../../ts/index.js'
import { DOORS, Openings, post, raw } from '../support/doors.js'
import { bareToken, jobBody, SECRET, sign } from '../support/job-webhook.js'
import { StatusDesk } from '../support/status-desk.js'
import { listen } from '../support/suite-log.js'

const logged: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[] = []

beforeEach(() => {
  logged.length = 0
  listen((record) => void logged.push(record))
})

let desk: StatusDesk

beforeAll(async () => {
  desk = await StatusDesk.open()
})

afterAll(() => desk[Symbol.asyncDispose]())

describe.each(DOORS)('through $name', ({ open }) => {
  const openings = new Openings(open)
  const agentBehindDoor = (options: Partial<AgentOptions> = {}) => openings.agent({ statusUrl: desk.url, ...options })
  afterEach(() => openings.close())

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

  test('F-W6: any +json is taken, and a request without a content type is refused and logged', async () => {
    const { door } = await agentBehindDoor()
    const webhook = sign(await jobBody())
    for (const type of ['application/cloudevents+json', 'application/vnd.livekit.job+json; v=1']) {
      const headers = { ...webhook.headers, 'content-type': type }
      expect((await post(door, { ...webhook, headers })).status).toBe(200)
    }
    logged.length = 0
    const { 'x-livekit-signature': signature } = webhook.headers
    const bare = `POST /agent HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-LiveKit-Signature: ${signature}\r\n`
    const head = await raw(
      door.port,
      `${bare}Content-Length: ${Buffer.byteLength(webhook.body)}\r\n\r\n${webhook.body}`,
    )
    expect(head).toMatch(/^HTTP\/1.1 415 /)
    expect(logged).toMatchObject([{ level: 'warn', fields: { status: 415, why: expect.stringContaining('got none') } }])
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

  test('a body that does not arrive in time is answered 408 and given up, however it dawdles', async () => {
    let questions = 0
    const { door } = await agentBehindDoor({
      bodyTimeoutMs: 40,
      request: (request) => {
        questions += 1
        request.accept()
      },
    })
    const { body, headers } = sign(await jobBody())
    const head = `POST /agent HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-LiveKit-Signature: ${headers['x-livekit-signature']}\r\n`
    // Nothing of it, all but a byte of it, and a byte now and then.
    for (const sent of ['', body.slice(0, -1)]) {
      const answer = await raw(door.port, `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${sent}`)
      expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    }
    const dripping = httpRequest(door.url, { method: 'POST', headers: { ...headers, 'transfer-encoding': 'chunked' } })
    dripping.on('error', () => {})
    const timer = setInterval(() => dripping.write(' '), 5)
    const [response] = await once(dripping, 'response')
    clearInterval(timer)
    dripping.destroy()
    expect(response.statusCode).toBe(408)
    expect(questions).toBe(0)
    expect((await post(door, { body, headers })).status).toBe(200)
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
