// From LiveKit's dispatch to the job's result, with everything real: server, dispatcher, Express, room.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freeTcpPort } from '../../scripts/ports.mjs'
import {
  type AgentOptions,
  createAgent,
  createDispatcher,
  type Dispatcher,
  type DispatcherEventMap,
  type Job,
} from '../../ts/index.js'
import { CapturedLogs } from '../support/logs.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'

const SECRET = 'a-webhook-secret-of-thirty-two-bytes!'
let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(() => server[Symbol.asyncDispose]())

/** An agent behind Express; closing it ends its jobs. */
async function serve(options: Omit<AgentOptions, 'secrets'>) {
  const agent = createAgent({ secrets: SECRET, ...options })
  const http = express().post('/livekit/agent', agent.express()).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/livekit/agent`,
    async [Symbol.asyncDispose]() {
      await agent.close()
      http.closeAllConnections()
      http.close()
    },
  }
}

/** A dispatcher for an agent name of its own, so that no test's leftover takes another's job. */
function dispatch(name: string, ...urls: string[]): Promise<Dispatcher> {
  return createDispatcher({
    livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
    listen: '127.0.0.1:0',
    store: ':memory:',
    retry: { initialWaitMs: 50 },
    agents: [{ name, jobTypes: ['JT_ROOM'], endpoints: urls.map((url) => ({ url, secret: SECRET })) }],
  }).start()
}

function next<K extends 'jobRunning' | 'jobEnded' | 'rejected' | 'delivered'>(dispatcher: Dispatcher, name: K) {
  return once(dispatcher, name) as Promise<DispatcherEventMap[K]>
}

test('a dispatch becomes a job in Express that joins the room, is heard by somebody else, and succeeds', async () => {
  const name = roomName('greeter')
  const room = roomName()
  await using caller = await Peer.join(server.url, await server.token('caller', room))
  let seen: Job | undefined
  await using agent = await serve({
    entry: async (job) => {
      seen = job
      const { localParticipant } = await job.connect()
      await localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true })
    },
  })
  await using dispatcher = await dispatch(name, agent.url)
  const [running, ended] = [next(dispatcher, 'jobRunning'), next(dispatcher, 'jobEnded')]
  const { id } = await server.dispatch(room, name, { metadata: '{"role":"greeter"}' })
  const [{ jobId }] = await running
  const [end] = await ended
  expect(end).toMatchObject({ jobId, status: 'success' })
  expect(seen).toMatchObject({ id: jobId, type: 'JT_ROOM', metadata: '{"role":"greeter"}' })
  expect(seen?.info.dispatchId).toBe(id)
  await caller.event('dataReceived')
})

test('a job that one agent rejects is run by the next one', async () => {
  const name = roomName('greeter')
  const ran: string[] = []
  await using busy = await serve({
    request: (request) => request.reject('busy'),
    entry: () => ran.push('busy'),
  })
  await using idle = await serve({ entry: () => ran.push('idle') })
  await using dispatcher = await dispatch(name, busy.url, idle.url)
  const [rejected, ended] = [next(dispatcher, 'rejected'), next(dispatcher, 'jobEnded')]
  await server.dispatch(roomName(), name)
  expect((await rejected)[0]).toMatchObject({ endpoint: busy.url, reason: 'busy' })
  expect((await ended)[0].status).toBe('success')
  expect(ran).toEqual(['idle'])
})

test('a job that no endpoint can be reached for fails with the reason, F-R9: and says so where nobody listens', async () => {
  using logs = new CapturedLogs()
  const name = roomName('greeter')
  await using dispatcher = await dispatch(name, `http://127.0.0.1:${await freeTcpPort()}/livekit/agent`)
  const ended = next(dispatcher, 'jobEnded')
  await server.dispatch(roomName(), name)
  const [{ status, error }] = await ended
  expect(status).toBe('failed')
  expect(error).toMatch(/^endpoint 1 did not take the job after 4 attempts: could not connect: /)
  expect(logs.matching('warn', { attempts: 4 }).map(({ message }) => message)).toEqual([
    'an endpoint did not take a job',
  ])
})

test('a job whose entry throws fails with its message', async () => {
  const name = roomName('greeter')
  await using agent = await serve({
    entry: async (job) => {
      await job.connect()
      throw new Error('no idea what to say')
    },
  })
  await using dispatcher = await dispatch(name, agent.url)
  const ended = next(dispatcher, 'jobEnded')
  await server.dispatch(roomName(), name)
  const [{ status, error }] = await ended
  expect(status).toBe('failed')
  expect(error).toContain('no idea what to say')
})

test('a dispatch that is deleted ends its running job', async () => {
  const name = roomName('greeter')
  let reason: unknown
  await using agent = await serve({
    entry: async (job) => {
      await job.connect()
      await once(job.signal, 'abort')
      reason = job.signal.reason
    },
  })
  await using dispatcher = await dispatch(name, agent.url)
  const [running, ended] = [next(dispatcher, 'jobRunning'), next(dispatcher, 'jobEnded')]
  const room = roomName()
  const { id } = await server.dispatch(room, name)
  await running
  await server.dispatches.deleteDispatch(id, room)
  const [end] = await ended
  expect(end).toMatchObject({ status: 'success' })
  expect(reason).toMatchObject({ details: { reason: 'terminated' } })
})
