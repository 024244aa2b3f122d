// The two examples about inference run as their users run them: a process of their own, a signed webhook, a real
// livekit-server, a second participant who asks, and the local gateway as the model.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MAJORS } from '../support/ai-sdk.js'
import { Example } from '../support/example.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { jobBody, SECRET, sign } from '../support/job-webhook.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { StatusDesk } from '../support/status-desk.js'

const root = join(import.meta.dirname, '..', '..')
let server: LiveKitServer
beforeAll(async () => {
  server = await LiveKitServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

/** An example in a room with a participant `anna`. */
async function inRoom(name: string, gateway: Gateway, env: Record<string, string> = {}, nodeArgs: string[] = []) {
  const desk = await StatusDesk.open()
  const example = await Example.start(
    name,
    {
      LIVEKIT_WEBHOOK_SECRET: SECRET,
      LIVEKIT_INFERENCE_URL: gateway.url,
      LIVEKIT_INFERENCE_API_KEY: gateway.keys.apiKey,
      LIVEKIT_INFERENCE_API_SECRET: gateway.keys.apiSecret,
      ...env,
    },
    nodeArgs,
  )
  const room = roomName('inference')
  const peer = await Peer.join(server.url, await server.token('anna', room))
  const body = await jobBody({ room: { sid: 'RM_example', name: room }, server_url: server.url })
  const access_token = await server.token('agent-1', room)
  const response = await example.post(sign({ ...body, ...desk.fields(String(body.job_id)), access_token }))
  expect(response.status).toBe(200)
  await peer
    .event('participantConnected', ({ identity }) => identity === 'agent-1')
    .catch((error) => {
      throw new Error(`${error.message}; the example wrote: ${example.errors}`)
    })
  const close = async () => {
    await peer[Symbol.asyncDispose]()
    await example[Symbol.asyncDispose]()
    await desk[Symbol.asyncDispose]()
  }
  return { example, peer, jobId: String(body.job_id), desk, [Symbol.asyncDispose]: close }
}

function answers(peer: Peer): string[] {
  return peer.events
    .filter(({ event, topic }) => event === 'dataReceived' && topic === 'answer')
    .map(({ text }) => String(text))
}

describe.each(MAJORS)('examples-ts/ai-sdk-chat with ai %i', (major) => {
  test('answers in the room, through a tool, with attribution on every request', async () => {
    await using gateway = await startGateway()
    gateway.chat = (body) => {
      const last = body.messages.at(-1)
      if (last?.role === 'tool') return { text: ['Only ', `you: ${last.content}`, '.'] }
      return { toolCalls: [{ name: 'listParticipants', arguments: '{}' }] }
    }
    const hooks = ['--import', join(root, '__test__', 'support', 'ai-resolve.mjs')]
    await using running = await inRoom('ai-sdk-chat', gateway, { ROOMHOOK_TEST_AI: `ai${major}` }, hooks)
    const { peer, jobId } = running
    await peer.call('publishData', { text: 'Who is here?', topic: 'chat' })
    await peer.event('dataReceived', ({ text, topic }) => topic === 'answer' && text === '')
    expect(answers(peer).join('')).toBe('Only you: ["anna"].')
    expect(gateway.requests.length).toBe(2)
    for (const request of gateway.requests) {
      expect(request.header('x-livekit-job-id')).toBe(jobId)
      expect(request.header('x-livekit-room-id')).toBe('RM_example')
      expect(request.header('x-livekit-agent-id')).toMatch(/^PA_/)
      expect(request.header('x-sender-id')).toBe('anna')
      expect(request.count('x-sender-id')).toBe(1)
    }
    expect(await running.example.stop()).toBe(0)
    expect(running.example.errors).toBe('')
  })
})

describe('examples-ts/header-hooks', () => {
  test('limits by sender, audits each turn, and books costs', async () => {
    await using gateway = await startGateway()
    await using running = await inRoom('header-hooks', gateway, { SENDER_HASH_KEY: 'a-key-of-more-than-16-bytes' })
    const { peer, example, jobId } = running
    await peer.event('dataReceived', ({ topic }) => topic === 'answer')
    await peer.call('publishData', { text: 'What is this?', topic: 'chat' })
    await gateway.request(2)
    const [greeting, draft, final] = gateway.requests
    const of = (name: string) => [greeting, draft, final].map((request) => request?.header(name))
    expect(of('x-livekit-job-id')).toEqual([jobId, jobId, jobId])
    expect(of('x-audit-source')).toEqual(['system', 'room', 'room'])
    expect(of('x-audit-model')).toEqual(Array(3).fill('openai/gpt-5-mini'))
    expect(of('x-cost-center')).toEqual(Array(3).fill('Forschung%20%26%20Lehre'))
    const [noKey, key, sameKey] = of('x-ratelimit-key')
    expect(noKey).toBeUndefined()
    expect(key).toMatch(/^[0-9a-f]{64}$/)
    expect(sameKey).toBe(key)
    const [systemTurn, turn, sameTurn] = of('x-audit-turn')
    expect(sameTurn).toBe(turn)
    expect(systemTurn).not.toBe(turn)
    gateway.faults.push({ status: 429, times: 2, headers: { 'retry-after': '0' } })
    await peer.call('publishData', { text: 'And that?', topic: 'chat' })
    await peer.event('dataReceived', ({ text }) => text === 'Please ask again in a minute.')
    expect(await example.stop()).toBe(0)
  })
})

test('the chat example compiles against the AI SDK’s own types', { timeout: 120_000 }, async () => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const args = [tsc, '-p', join(root, 'examples-ts', 'ai-sdk-chat')]
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error) => error as { stdout: string })
  expect(stdout).toBe('')
})
