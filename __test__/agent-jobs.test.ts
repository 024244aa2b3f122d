// Jobs that run: real rooms on a real livekit-server, status at a desk that records it.

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, type AgentOptions, createAgent, type Job, type JobResult } from '../ts/index.js'
import { currentJob } from '../ts/job.js'
import { DOORS, type Door, post } from './support/doors.js'
import { jobBody, SECRET, sign } from './support/job-webhook.js'
import { CapturedLogs } from './support/logs.js'
import { Peer } from './support/peer.js'
import { LiveKitServer, roomName } from './support/server.js'
import { StatusDesk } from './support/status-desk.js'

let server: LiveKitServer
let desk: StatusDesk
let logs: CapturedLogs
const opened: AsyncDisposable[] = []

beforeAll(async () => {
  server = await LiveKitServer.start()
  desk = await StatusDesk.open()
  logs = new CapturedLogs()
})

afterAll(async () => {
  logs[Symbol.dispose]()
  await desk[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
  desk.answers = []
})

const door = DOORS[1] ?? DOORS[0]

async function start(options: Partial<AgentOptions>): Promise<{ agent: Agent; door: Door }> {
  const agent = createAgent({ secrets: SECRET, entry: () => {}, ...options })
  const opening = await door?.open(agent)
  if (opening === undefined) throw new Error('no door')
  opened.push(opening, agent)
  return { agent, door: opening }
}

interface Delivered {
  id: string
  room: string
  webhook: { body: string; headers: Record<string, string> }
}

/** A job for a room of its own on the server, or as changed. */
async function webhook(change: Record<string, unknown> = {}, grants: object = {}): Promise<Delivered> {
  const room = (change.room as { name?: string } | undefined)?.name ?? roomName('job')
  const body = await jobBody({ room: { sid: `RM_${room}`, name: room }, server_url: server.url, ...change })
  const id = String(body.job_id)
  const access_token = await server.token('agent-1', room, grants)
  return {
    id,
    room,
    webhook: sign({ ...body, ...desk.fields(id), access_token, ...change }),
  }
}

/** The end of the next job. Not `events.once`, which would take the agent's errors for its own. */
function ended(agent: Agent): Promise<{ job: Job; result: JobResult }> {
  return new Promise((resolve) => agent.once('jobEnded', (job, result) => resolve({ job, result })))
}

/** Posts a job and waits until its agent is in the room. */
async function running(agent: Agent, door: Door, { webhook }: Delivered): Promise<Job> {
  const begun = once(agent, 'job')
  await post(door, webhook)
  const [job] = (await begun) as [Job]
  if (job.status === 'pending') await once(job, 'running')
  return job
}

describe('a job', () => {
  test('S1-13 reports JS_RUNNING once the room is connected, and one result at its end', async () => {
    const seen: string[] = []
    const { agent, door } = await start({
      entry: async (job) => {
        seen.push(`entry: ${job.status}, ${desk.of(job.id).length} reports`)
        const room = await job.connect()
        seen.push(`connected: ${room.isConnected}, ${room.localParticipant.identity}`)
        await desk.count(desk.reports.length + (desk.of(job.id).length > 0 ? 0 : 1))
        seen.push(`reported: ${desk.of(job.id)}, ${job.status}`)
      },
    })
    const { id, webhook: job } = await webhook()
    const end = ended(agent)
    expect((await post(door, job)).status).toBe(200)
    expect((await end).result).toEqual({ status: 'JS_SUCCESS' })
    expect(seen).toEqual(['entry: pending, 0 reports', 'connected: true, agent-1', 'reported: JS_RUNNING, running'])
    expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
    const bearers = desk.reports.filter((report) => report.path.includes(id)).map((report) => report.bearer)
    expect(new Set(bearers)).toEqual(new Set([`Bearer status-token-of-${id}`]))
    expect(agent.jobs).toEqual([])
  })

  test('S1-10 delivered ten times at once joins its room once', async () => {
    let joins = 0
    const { agent, door } = await start({
      entry: async (job) => {
        await job.connect()
        joins += 1
        await once(job.signal, 'abort')
      },
    })
    const { room, webhook: job } = await webhook()
    const running = once(agent, 'job')
    const answers = await Promise.all(Array.from({ length: 10 }, async () => (await post(door, job)).text()))
    expect(new Set(answers).size).toBe(1)
    const [started] = await running
    if (started.status === 'pending') await once(started, 'running')
    expect((await server.rooms.listParticipants(room)).map((participant) => participant.identity)).toEqual(['agent-1'])
    expect(joins).toBe(1)
  })

  test('S1-12 that cannot connect reports one JS_FAILED with a reason, and the agent lives on', async () => {
    const errors: unknown[] = []
    const { agent, door } = await start({ entry: (job) => job.connect({ connectTimeoutMs: 1_000, joinRetries: 0 }) })
    agent.on('error', (error, job) => errors.push([error, job?.id]))
    const { id, webhook: job } = await webhook({ server_url: 'ws://127.0.0.1:9' })
    const end = ended(agent)
    await post(door, job)
    expect((await end).result).toMatchObject({
      status: 'JS_FAILED',
      error: expect.stringContaining('ROOM_CONNECT_FAILED'),
    })
    expect(desk.of(id)).toEqual(['JS_FAILED'])
    expect(errors).toEqual([[expect.objectContaining({ code: 'ROOM_CONNECT_FAILED' }), id]])
  })

  test('whose entry throws is a JS_FAILED, said in the log where nobody listens, without tokens', async () => {
    const { agent, door } = await start({
      entry: async (job) => {
        await job.connect()
        throw new Error(
          `no luck with ${JSON.parse(given.body).access_token} and ${JSON.parse(given.body).status_token}`,
        )
      },
    })
    const { id, webhook: given } = await webhook()
    const end = ended(agent)
    await post(door, given)
    expect((await end).result).toEqual({ status: 'JS_FAILED', error: 'Error: no luck with [redacted] and [redacted]' })
    expect(desk.of(id).at(-1)).toBe('JS_FAILED')
    expect(logs.matching('error', { jobId: id })).toHaveLength(1)
  })

  test('whose room closes is a success once entry has returned', async () => {
    const { agent, door } = await start({
      entry: async (job) => {
        const room = await job.connect()
        await room.closed
        expect(job.signal.reason).toMatchObject({ details: { reason: 'disconnected' } })
      },
    })
    const given = await webhook()
    const { id, room } = given
    const end = ended(agent)
    await running(agent, door, given)
    await server.rooms.deleteRoom(room)
    expect((await end).result).toEqual({ status: 'JS_SUCCESS' })
    expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
  })

  test('that is joined under the same identity by somebody else has failed', async () => {
    const { agent, door } = await start({
      entry: async (job) => {
        const room = await job.connect()
        await room.closed
      },
    })
    const given = await webhook()
    const { room } = given
    const end = ended(agent)
    await running(agent, door, given)
    await using _peer = await Peer.join(server.url, await server.token('agent-1', room))
    expect((await end).result).toEqual({ status: 'JS_FAILED', error: 'the room was lost: DUPLICATE_IDENTITY' })
  })

  test('that takes longer than jobTimeoutMs has failed, even if entry never returns', async () => {
    const { agent, door } = await start({
      jobTimeoutMs: 20,
      shutdownTimeoutMs: 20,
      entry: () => new Promise(() => {}),
    })
    const { id, webhook: job } = await webhook()
    const end = ended(agent)
    await post(door, job)
    expect((await end).result).toMatchObject({ status: 'JS_FAILED', error: expect.stringContaining('out of time') })
    expect(desk.of(id)).toEqual(['JS_FAILED'])
  })

  test('says goodbye in its shutdown functions, before its result is reported and the room is left', async () => {
    const order: string[] = []
    const { agent, door } = await start({
      entry: async (job) => {
        const room = await job.connect()
        job.onShutdown(async (reason) => {
          await room.localParticipant.publishData(new TextEncoder().encode('goodbye'), { reliable: true })
          order.push(`${reason}, connected: ${room.isConnected}, ${currentJob()?.id === job.id}`)
        })
        job.onShutdown(() => {
          throw new Error('a broken goodbye')
        })
        job.complete()
        job.complete()
        expect(() => job.fail('too late')).toThrow(expect.objectContaining({ code: 'JOB_STATE_CONFLICT' }))
        await room.closed
        order.push(`left after ${desk.of(job.id).at(-1)}`)
      },
    })
    const errors: unknown[] = []
    agent.on('error', (error) => errors.push(error))
    const { webhook: job } = await webhook()
    const end = ended(agent)
    await post(door, job)
    expect((await end).result).toEqual({ status: 'JS_SUCCESS' })
    expect(order).toEqual(['ended, connected: true, true', 'left after JS_SUCCESS'])
    expect(errors).toEqual([expect.objectContaining({ message: 'a broken goodbye' })])
  })

  test('joins with the name, metadata and attributes it was accepted with, if its token allows it', async () => {
    const { agent, door } = await start({
      request: (request) => request.accept({ name: 'Ada', metadata: 'greeter', attributes: { mood: 'good' } }),
      entry: async (job) => {
        await job.connect()
        await once(job.signal, 'abort')
      },
    })
    const { room, webhook: job } = await webhook()
    await using peer = await Peer.join(server.url, await server.token('watcher', room))
    await post(door, job)
    await peer.event('participantAttributesChanged', ({ identity }) => identity === 'agent-1')
    const [participant] = (await server.rooms.listParticipants(room)).filter(({ identity }) => identity === 'agent-1')
    expect(participant).toMatchObject({ name: 'Ada', metadata: 'greeter', attributes: { mood: 'good' } })

    const end = ended(agent)
    const forbidden = await webhook({}, { canUpdateOwnMetadata: false })
    const second = await running(agent, door, forbidden)
    expect(logs.matching('warn', { jobId: forbidden.id })).toHaveLength(1)
    second.complete()
    await end
  })

  test('keeps its own context when jobs interleave', async () => {
    const seen: [string, string | undefined][] = []
    const { agent, door } = await start({
      entry: async (job) => {
        for (let turn = 0; turn < 3; turn++) {
          await new Promise((resolve) => setImmediate(resolve))
          seen.push([job.id, currentJob()?.id])
        }
      },
    })
    let ends = 0
    const all = new Promise<void>((resolve) => agent.on('jobEnded', () => ++ends === 3 && resolve()))
    const jobs = await Promise.all([webhook(), webhook(), webhook()])
    await Promise.all(jobs.map((job) => post(door, job.webhook)))
    await all
    expect(seen).toHaveLength(9)
    for (const [own, current] of seen) expect(current).toBe(own)
    expect(currentJob()).toBeUndefined()
  })
})

describe('status', () => {
  test('S1-14 comes through a desk that answers 503 twice, once and in order', async () => {
    desk.answers = [503, 503]
    const { agent, door } = await start({
      entry: async (job) => {
        await job.connect()
        await desk.count(desk.reports.length + 3)
      },
    })
    const { id, webhook: job } = await webhook()
    const end = ended(agent)
    await post(door, job)
    await end
    expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_RUNNING', 'JS_RUNNING', 'JS_SUCCESS'])
  })

  test('S1-14 that nobody takes is one warning, and no failure', async () => {
    const { agent, door } = await start({ entry: (job) => job.connect() })
    for (const round of [1, 2]) {
      // The livekit-server itself has no such path.
      const { id, webhook: job } = await webhook({ status_url: undefined, status_token: undefined })
      const end = ended(agent)
      await post(door, job)
      expect((await end).result).toEqual({ status: 'JS_SUCCESS' })
      expect(desk.of(id)).toEqual([])
      expect(logs.matching('warn', { status: 404 })).toHaveLength(1)
      expect(round).toBeLessThan(3)
    }
  })
})

test('S1-19 closing leaves three rooms, reports three results, and takes nothing new', async () => {
  const { agent, door } = await start({
    maxJobs: 5,
    entry: async (job) => {
      const room = await job.connect()
      await room.closed
    },
  })
  const jobs = await Promise.all([webhook(), webhook(), webhook()])
  let running = 0
  const all = new Promise<void>((resolve) => {
    agent.on('job', (job) => job.once('running', () => ++running === 3 && resolve()))
  })
  await Promise.all(jobs.map((job) => post(door, job.webhook)))
  await all
  expect(agent.jobs).toHaveLength(3)
  const began = performance.now()
  await agent.close({ timeoutMs: 5_000 })
  expect(performance.now() - began).toBeLessThan(5_000)
  expect(agent.jobs).toEqual([])
  for (const job of jobs) {
    expect(desk.of(job.id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
    expect(await server.rooms.listParticipants(job.room)).toEqual([])
  }
  expect((await post(door, (await webhook()).webhook)).status).toBe(503)
})

test('S1-20 nothing that was logged holds a secret, a token, a signature or a name', async () => {
  const { door } = await start({ entry: (job) => job.connect() })
  const { room, webhook: job } = await webhook({ room: { sid: 'RM_1', name: 'a-very-private-room' } })
  await post(door, job)
  await post(door, { ...job, headers: { ...job.headers, 'x-livekit-signature': 'f'.repeat(64) } })
  const text = logs.text()
  expect(text).toContain('SIGNATURE_INVALID')
  for (const forbidden of [
    SECRET,
    'eyJ',
    'status-token-of',
    'f'.repeat(64),
    server.apiSecret,
    room,
    'a-very-private',
  ]) {
    expect(text).not.toContain(forbidden)
  }
})
