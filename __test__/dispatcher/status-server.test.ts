// The status endpoint among clients that mean it no good. Node raises its own limit of open files, so that a full house of
// real connections fits into one process.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDispatcher, type Dispatcher } from '../../ts/index.js'
import { LiveKitServer } from '../support/server.js'

/** More than the 1024 that the server holds. */
const FLOOD = 1_030

let server: LiveKitServer
let dispatcher: Dispatcher

beforeAll(async () => {
  server = await LiveKitServer.start()
  dispatcher = await createDispatcher({
    livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
    listen: '127.0.0.1:0',
    store: ':memory:',
    agents: [
      {
        name: 'greeter',
        jobTypes: ['JT_ROOM'],
        endpoints: [{ url: 'http://127.0.0.1:9/', secret: 'a-webhook-secret-of-thirty-two-bytes!' }],
      },
    ],
  }).start()
})

afterAll(async () => {
  await dispatcher.close()
  await server[Symbol.asyncDispose]()
})

test.each([
  ['nothing', ''],
  ['one letter', 'P'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['half a head', 'POST /api/agents/jobs/AJ_1/status HTTP/1.1\r\nhost: x\r\n'],
])('F-D8: with a full house that has sent %s, health and statuses are answered and all are closed', async (_, sent) => {
  const port = dispatcher.address?.port ?? 0
  const sockets: Socket[] = Array.from({ length: FLOOD }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  // A connection that is cut off in the middle of a head may see a reset; what counts is its end.
  const closed = sockets.map((socket) => new Promise((resolve) => socket.resume().on('close', resolve)))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) socket.write(sent)
  const signal = AbortSignal.timeout(4_000)
  expect((await fetch(`${dispatcher.url}/health`, { signal })).status).toBe(200)
  expect((await fetch(`${dispatcher.url}/ready`, { signal })).status).toBe(200)
  expect((await fetch(`${dispatcher.url}/api/agents/jobs/AJ_1/status`, { signal })).status).toBe(404)
  // The head's time runs from the first moment: 5 s later nobody is left.
  await Promise.all(closed)
})
