// F-R8: a deploy ends no call. A draining agent takes no new jobs and lets its calls end by themselves; a process that gets
// SIGTERM in the middle of one, as docs/operations.md shows it, ends after it.

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startChild } from '../support/child.js'
import { post } from '../support/doors.js'
import { ended, JobBench, running } from '../support/job-bench.js'
import { SECRET } from '../support/job-webhook.js'
import { Peer } from '../support/peer.js'
import type { LiveKitServer } from '../support/server.js'
import type { StatusDesk } from '../support/status-desk.js'

let bench: JobBench
let server: LiveKitServer
let desk: StatusDesk

beforeAll(async () => {
  bench = await JobBench.open()
  ;({ server, desk } = bench)
})

afterEach(() => bench.clear())
afterAll(() => bench[Symbol.asyncDispose]())

const untilEnded = {
  entry: async (job: import('../../ts/index.js').Job) => {
    await job.connect()
    await once(job.signal, 'abort')
  },
}

test('F-R8: drain() takes no new jobs, lets those that run end by themselves, and then closes', async () => {
  const { agent, door } = await bench.start(untilEnded)
  const job = await running(agent, door, await bench.webhook())
  const drained = agent.drain()
  expect(agent.drain({ timeoutMs: 5 })).toBe(drained)
  const refused = await post(door, (await bench.webhook()).webhook)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect(job.signal.aborted).toBe(false)
  const end = ended(agent)
  job.complete()
  expect((await end).result).toEqual({ status: 'success' })
  await drained
  expect([job.endReason, agent.jobs]).toEqual(['ended', []])
})

test('F-R8: jobs that outlast timeoutMs, or the signal, are ended as close() does', async () => {
  for (const options of [{ timeoutMs: 20 }, { signal: AbortSignal.timeout(20) }]) {
    const { agent, door } = await bench.start(untilEnded)
    const given = await bench.webhook()
    const job = await running(agent, door, given)
    const outcome = await agent.drain(options).then(
      () => 'drained',
      (error: Error) => error.name,
    )
    expect([outcome, job.endReason]).toEqual(['signal' in options ? 'AbortError' : 'drained', 'closing'])
    expect(desk.of(given.id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
  }
})

test('drain refuses wrong options', async () => {
  const { agent } = await bench.start({})
  for (const options of [null, 5, { timeoutMs: -1 }, { timeoutMs: 2 ** 31 }, { timeout: 5 }, { signal: 5 }]) {
    expect(() => agent.drain(options as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
  await agent.drain()
})

test('F-R8: a process that gets SIGTERM during a call ends after the call, by itself', async () => {
  const child = startChild(
    `
    const { createServer } = await import('node:http')
    const agent = roomhook.createAgent({
      secrets: args.secret,
      entry: async (job) => {
        job.room.on('participantDisconnected', () => job.complete())
        await job.connect()
        console.log('joined ' + job.id)
        await job.room.closed
        console.log('over ' + job.endReason)
      },
    })
    const server = createServer(agent.node()).listen(0, '127.0.0.1', () => console.log('port ' + server.address().port))
    process.once('SIGTERM', async () => {
      console.log('draining')
      await agent.drain({ timeoutMs: 15 * 60_000 })
      server.close()
    })
    console.log('pid ' + process.pid)
    `,
    { secret: SECRET },
  )
  const url = `http://127.0.0.1:${await child.line('port')}/`
  const given = await bench.webhook()
  const caller = await Peer.join(server.url, await server.token('caller', given.room))
  expect((await fetch(url, { method: 'POST', ...given.webhook })).status).toBe(200)
  await child.line('joined')
  process.kill(Number(await child.line('pid')), 'SIGTERM')
  await child.line('draining')
  const next = await bench.webhook()
  expect((await fetch(url, { method: 'POST', ...next.webhook })).status).toBe(503)
  expect((await server.rooms.listParticipants(given.room)).map(({ identity }) => identity)).toContain('agent-1')
  await caller[Symbol.asyncDispose]()
  expect(await child.line('over')).toBe('ended')
  expect((await child.ended).code).toBe(0)
  expect(desk.of(given.id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
})
