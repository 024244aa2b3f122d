// S2-17 for people without the AI SDK: every way of asking through `inferenceFetch` carries the headers of the turn and the
// attribution. The AI SDK's own ways are in entry-points.test.ts.

import { expect, test } from 'vitest'
import { createHeaderHooks, type InferenceFetch, inferenceFetch, turnHeaders } from '../../ts/inference.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { testJob } from '../support/inference-job.js'
import { CapturedLogs } from '../support/logs.js'

const chat = (more: object = {}) => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ model: 'm', messages: [], ...more }),
})

type Run = (ask: InferenceFetch, gateway: Gateway) => unknown

/** How it is asked, how many requests that makes; what it returns is read outside of the turn. */
const rows: [name: string, requests: number, run: Run][] = [
  ['a whole answer', 1, async (ask) => (await ask('chat/completions', chat())).json()],
  [
    'a streamed answer, read after the turn',
    1,
    async (ask) => {
      const response = await ask('chat/completions', chat({ stream: true }))
      return () => response.text()
    },
  ],
  ['a Request', 1, (ask, gateway) => ask(new Request(`${gateway.url}/chat/completions`, chat()))],
  ['a URL', 1, (ask, gateway) => ask(new URL(`${gateway.url}/chat/completions`), chat())],
  ['another path', 1, (ask) => ask('embeddings', chat({ input: 'a' }))],
  [
    'a retry after 500',
    2,
    (ask, gateway) => {
      gateway.faults.push({ status: 500 })
      return ask('chat/completions', chat())
    },
  ],
  [
    'a retry after a connection that was cut',
    2,
    (ask, gateway) => {
      gateway.faults.push({ hangUp: true })
      return ask('chat/completions', chat())
    },
  ],
  [
    'a request made again with a fresh token',
    2,
    (ask, gateway) => {
      gateway.faults.push({ status: 401 })
      return ask('chat/completions', chat())
    },
  ],
  [
    'a fallback model',
    2,
    async (ask, gateway) => {
      gateway.faults.push({ status: 404 })
      const first = await ask('chat/completions', chat())
      return first.ok ? expect.fail('it was told to fail') : ask('chat/completions', chat({ model: 'other' }))
    },
  ],
  [
    'a tool loop of one’s own',
    3,
    async (ask) => {
      for (let step = 0; step < 3; step++) await (await ask('chat/completions', chat())).text()
    },
  ],
]

test.each(rows)('S2-17: inferenceFetch: %s carries the hook’s header and the attribution', async (_, requests, run) => {
  await using gateway = await startGateway()
  using _logs = new CapturedLogs()
  const hooks = createHeaderHooks({ shareSender: true })
  hooks.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender-Id': senderId } }))
  const ask = inferenceFetch({ ...gateway.keys, baseURL: gateway.url, job: testJob(), retry: { waitsMs: [0] } })
  const read = await hooks.turn({ senderId: 'user-1' }, () => run(ask, gateway))
  if (typeof read === 'function') await read()
  expect(gateway.requests).toHaveLength(requests)
  for (const request of gateway.requests) {
    expect([request.header('x-sender-id'), request.count('x-sender-id')]).toEqual(['user-1', 1])
    const ids = ['room', 'job', 'agent'].map((what) => request.header(`x-livekit-${what}-id`))
    expect(ids).toEqual(['RM_b', 'AJ_b', 'PA_b'])
  }
})

test('S2-17: for any other client turnHeaders() gives the headers of the turn as a record', async () => {
  await using gateway = await startGateway()
  gateway.judge = false
  const hooks = createHeaderHooks({ shareSender: true })
  hooks.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender-Id': senderId } }))
  const { headers, ...init } = chat()
  await hooks.turn({ senderId: 'user-1' }, () =>
    fetch(`${gateway.url}/chat/completions`, { ...init, headers: { ...headers, ...turnHeaders() } }),
  )
  expect(gateway.requests[0]?.header('x-sender-id')).toBe('user-1')
})
