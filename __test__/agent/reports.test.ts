// What an agent at work tells: the profile it was accepted with, job status to a desk that takes it late or never, its logs,
// and how it closes.

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { freeTcpPort } from '../../scripts/ports.mjs'
import { post } from '../support/doors.js'
import { ended, JobBench, running } from '../support/job-bench.js'
import { SECRET } from '../support/job-webhook.js'
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

test('a job joins with the name, metadata and attributes it was accepted with, if its token allows it', async () => {
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
      expect((await end).result).toEqual({ status: 'success' })
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

test('closing tries a result that nobody takes until its time is up, says so, and ends', async () => {
  const { agent, door } = await start({
    entry: async (job) => {
      await job.connect()
      await once(job.signal, 'abort')
    },
  })
  // Nobody listens there.
  const status_url = `http://127.0.0.1:${await freeTcpPort()}/status`
  const given = await webhook({ status_url })
  await running(agent, door, given)
  const began = performance.now()
  await agent.close({ timeoutMs: 2_000 })
  const took = performance.now() - began
  expect(took).toBeGreaterThan(1_490)
  expect(took).toBeLessThan(5_000)
  expect(await server.rooms.listParticipants(given.room)).toEqual([])
  await new Promise((resolve) => setImmediate(resolve))
  const warnings = logs.matching('warn', { jobId: given.id })
  expect(warnings.map(({ fields }) => fields.reason)).toEqual(['the agent closed before the report got through'])
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
