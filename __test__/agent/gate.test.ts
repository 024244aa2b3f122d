// What an agent's endpoint takes from strangers before it verifies anything: bodies at a time, requests a second. Real
// sockets, slow senders, and a dispatcher's request among them.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type AgentOptions, createAgent } from '../../ts/index.js'
import { DOORS, type Door, Openings, post, serve } from '../support/doors.js'
import { jobBody, sign } from '../support/job-webhook.js'
import { listen } from '../support/suite-log.js'

const MAX_BODY_BYTES = 4 * 1024 * 1024
const FAKE = `X-LiveKit-Signature: ${'00'.repeat(32)}\r\n`

const logged: { message: string; fields: Readonly<Record<string, unknown>> }[] = []

/** A sender that has said how much it will send, and has sent a little of it. */
class SlowSender {
  readonly socket: Socket
  readonly answer: Promise<string>

  constructor(port: number, headers = '') {
    this.socket = connect(port, '127.0.0.1')
    let text = ''
    this.socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    this.socket.on('error', () => {})
    this.answer = once(this.socket, 'close').then(() => text)
    this.socket.write(
      `POST /agent HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}Content-Length: ${MAX_BODY_BYTES}\r\n\r\n{"metadata":"`,
    )
  }
}

const refused = { body: '{}', headers: { 'content-type': 'application/json', 'x-livekit-signature': '00'.repeat(32) } }

describe.each(DOORS)('F-W9: through $name', ({ open }) => {
  const openings = new Openings(open)
  const behindDoor = async (options: Partial<AgentOptions> = {}): Promise<Door> => {
    logged.length = 0
    listen((record) => void logged.push(record))
    return (await openings.agent(options)).door
  }
  afterEach(() => openings.close())

  test.each([
    ['without a signature', ''],
    ['with a made-up one', FAKE],
  ])('a signed request gets through 500 slow bodies of the largest size %s', async (_, headers) => {
    const door = await behindDoor()
    const senders = Array.from({ length: 500 }, () => new SlowSender(door.port, headers))
    await Promise.all(senders.map(({ socket }) => once(socket, 'connect')))
    // The first to give way have their answer.
    const first = await Promise.race(senders.map(({ answer }) => answer))
    expect(first).toMatch(/^HTTP\/1.1 429 [\s\S]*retry-after: 1\r\n/i)
    const answers = await Promise.all(Array.from({ length: 10 }, async () => post(door, sign(await jobBody()))))
    expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(200))
    for (const { socket } of senders) socket.destroy()
  })

  test('one body more than may be read makes the oldest unsigned one give way, and the log says why', async () => {
    const door = await behindDoor({ maxReadingBodies: 2 })
    const older = new SlowSender(door.port, FAKE)
    await once(older.socket, 'connect')
    const unsigned = new SlowSender(door.port)
    await once(unsigned.socket, 'connect')
    const third = new SlowSender(door.port, FAKE)
    expect(await unsigned.answer).toMatch(/^HTTP\/1.1 429 /)
    expect(logged).toMatchObject([{ fields: { status: 429, why: expect.stringContaining('maxReadingBodies') } }])
    const fourth = new SlowSender(door.port, FAKE)
    expect(await older.answer).toMatch(/^HTTP\/1.1 429 /)
    third.socket.destroy()
    fourth.socket.destroy()
    expect((await post(door, sign(await jobBody()))).status).toBe(200)
  })

  test('more refused requests than rateLimit allows are 429 with Retry-After; signed ones count as none', async () => {
    const door = await behindDoor({ rateLimit: { perSecond: 1, burst: 8 } })
    for (let count = 0; count < 20; count++) expect((await post(door, sign(await jobBody()))).status).toBe(200)
    const answers: Response[] = []
    for (let count = 0; count < 10; count++) answers.push(await post(door, refused))
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([401, 429]))
    const last = answers.at(-1) as Response
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await last.json()).toEqual({ accepted: false, error: 'Too many requests' })
  })

  test('requests without a signature header do not use up those with one', async () => {
    const door = await behindDoor({ rateLimit: { perSecond: 1, burst: 2 } })
    const { 'x-livekit-signature': _, ...headers } = refused.headers
    const answers = await Promise.all(Array.from({ length: 6 }, () => post(door, { body: '{}', headers })))
    expect(answers.map(({ status }) => status)).toContain(429)
    expect((await post(door, sign(await jobBody()))).status).toBe(200)
  })
})

test('F-W9: one address has half of the rate, and where Express knows it, it is the address behind the proxy', async () => {
  listen(() => {})
  const agent = createAgent({
    secrets: 'a-webhook-secret-of-thirty-two-bytes',
    entry: () => {},
    rateLimit: { perSecond: 1, burst: 8 },
  })
  const { default: express } = await import('express')
  await using door = await serve(express().set('trust proxy', true).post('/agent', agent.express()))
  const from = (address: string) =>
    post(door, { ...refused, headers: { ...refused.headers, 'x-forwarded-for': address } })
  const statuses: number[] = []
  for (let count = 0; count < 6; count++) statuses.push((await from('198.51.100.1')).status)
  expect(statuses).toEqual([401, 401, 401, 401, 429, 429])
  expect((await from('198.51.100.2')).status).toBe(401)
})

test.each([
  [{ maxReadingBodies: 0 }, 'options.maxReadingBodies'],
  [{ maxReadingBodies: Number.NaN }, 'options.maxReadingBodies'],
  [{ rateLimit: { perSecond: 0 } }, 'options.rateLimit.perSecond'],
  [{ rateLimit: { burst: 1.5 } }, 'options.rateLimit.burst'],
  [{ rateLimit: { perMinute: 1 } }, 'options.rateLimit'],
  [{ rateLimit: null }, 'options.rateLimit'],
])('F-W9: %j is a ConfigError that names the option', (options, named) => {
  const make = () => createAgent({ secrets: 'x'.repeat(32), entry: () => {}, ...(options as Partial<AgentOptions>) })
  expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(named) }))
})
