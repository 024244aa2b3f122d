// S1-23: the echo agent of the examples, as a user runs it: a process of its own, called by a real participant.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jobBody, SECRET, sign } from '../support/job-webhook.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { StatusDesk } from '../support/status-desk.js'

const example = resolve(import.meta.dirname, '../../examples-ts/dist/echo-agent/agent.js')

let server: LiveKitServer
let desk: StatusDesk
let agent: ChildProcess
let url: string
const steps: string[] = []

beforeAll(async () => {
  if (!existsSync(example)) throw new Error('the examples are not built: run `npm run build` first')
  server = await LiveKitServer.start()
  desk = await StatusDesk.open()
  agent = spawn(process.execPath, [example], {
    env: { ...process.env, LIVEKIT_WEBHOOK_SECRET: SECRET, PORT: '0', DEMO: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: agent.stdout as NodeJS.ReadableStream })
  const port = await new Promise<number>((found, failed) => {
    agent.once('exit', (code) => failed(new Error(`the example ended with ${code}`)))
    lines.on('line', (line) => {
      const { step, port } = JSON.parse(line) as { step?: string; port?: number }
      if (step !== undefined) steps.push(step)
      if (port !== undefined) found(port)
    })
  })
  url = `http://127.0.0.1:${port}/livekit/agent`
})

afterAll(async () => {
  agent?.kill('SIGKILL')
  await desk?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function call(): Promise<{ id: string; room: string }> {
  const room = roomName('example')
  const body = await jobBody({ room: { sid: `RM_${room}`, name: room }, server_url: server.url })
  const id = String(body.job_id)
  const webhook = sign({ ...body, ...desk.fields(id), access_token: await server.token('agent-1', room) })
  const response = await fetch(url, { method: 'POST', ...webhook })
  expect(await response.json()).toMatchObject({ accepted: true, participant_metadata: '{"role":"echo"}' })
  return { id, room }
}

test('S1-23 the echo agent joins, echoes, answers a ping and is done at "bye"', async () => {
  const { id, room } = await call()
  await using peer = await Peer.join(server.url, await server.token('caller', room))
  await peer.call('publishTone', { frequency: 440, peak: 8_000 })
  await peer.hears('agent-1', 440)
  await peer.call('publishData', { text: 'ping', topic: 'demo' })
  await peer.event(
    'dataReceived',
    ({ text, topic, identity }) => text === 'pong' && topic === 'demo' && identity === 'agent-1',
  )
  await peer.call('publishData', { text: 'bye' })
  await peer.event('participantDisconnected', ({ identity }) => identity === 'agent-1')
  await desk.count(2)
  expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
  expect(steps).toEqual(expect.arrayContaining(['verified', 'connected', 'firstFrame', 'dataReceived']))
})

test('the echo agent is done when its caller leaves', async () => {
  const before = desk.reports.length
  const { id, room } = await call()
  await desk.count(before + 1)
  const peer = await Peer.join(server.url, await server.token('caller', room))
  await peer.call('publishTone', { frequency: 440, peak: 8_000 })
  await peer.hears('agent-1', 440)
  await peer[Symbol.asyncDispose]()
  await desk.count(before + 2)
  expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
})

test('at SIGTERM it ends after its calls and exits by itself', async () => {
  const before = desk.reports.length
  const { id, room } = await call()
  await desk.count(before + 1)
  const exited = once(agent, 'exit')
  await using peer = await Peer.join(server.url, await server.token('caller', room))
  agent.kill('SIGTERM')
  await peer.call('publishData', { text: 'bye' })
  expect(await exited).toEqual([0, null])
  expect(desk.of(id)).toEqual(['JS_RUNNING', 'JS_SUCCESS'])
})
