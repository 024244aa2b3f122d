// The course of jobs in real rooms: joined, running, ended by entry, by the room, by time, by a failure. What they report and
// how an agent closes is in agent-reports.test.ts.

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { currentJob } from '../../ts/index.js'
import { post } from '../support/doors.js'
import { ended, JobBench, running } from '../support/job-bench.js'
import type { CapturedLogs } from '../support/logs.js'
import { Peer } from '../support/peer.js'
import type { LiveKitServer } from '../support/server.js'
import type { StatusDesk } from '../support/status-desk.js'

let bench: JobBench
let server: LiveKitServer
let desk: StatusDesk
let logs: CapturedLogs
const start: JobBench['start'] = (options) => bench.start(options)
const webhook: JobBench['webhook'] = (change, grants) => bench.webhook(change, grants)

beforeAll(async () => {
  bench = await JobBench.open()
  ;({ server, desk, logs } = bench)
})

afterEach(() => bench.clear())
afterAll(() => bench[Symbol.asyncDispose]())

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
    expect((await end).result).toEqual({ status: 'success' })
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
      status: 'failed',
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
    expect((await end).result).toEqual({ status: 'failed', error: 'Error: no luck with [redacted] and [redacted]' })
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
    expect((await end).result).toEqual({ status: 'success' })
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
    expect((await end).result).toEqual({ status: 'failed', error: 'the room was lost: DUPLICATE_IDENTITY' })
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
    expect((await end).result).toMatchObject({ status: 'failed', error: expect.stringContaining('out of time') })
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
    expect((await end).result).toEqual({ status: 'success' })
    expect(order).toEqual(['ended, connected: true, true', 'left after JS_SUCCESS'])
    expect(errors).toEqual([expect.objectContaining({ message: 'a broken goodbye' })])
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
