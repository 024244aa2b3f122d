// All of it at once, with everything real: a dispatch at LiveKit, our dispatcher, Express, the room, and a caller in a
// process of its own (`@livekit/rtc-node`) who is heard and hears. LiveKit's own log is the witness of the result.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AudioStream, createAgent, createDispatcher, type RemoteTrack } from '../../ts/index.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { hear, playTone } from '../support/sound.js'

const SECRET = 'a-webhook-secret-of-thirty-two-bytes!'
let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(() => server[Symbol.asyncDispose]())

test('a dispatched agent hears its caller, is heard by it, and its success is in LiveKit’s own log', async () => {
  const [name, room] = [roomName('talker'), roomName()]
  await using caller = await Peer.join(server.url, await server.token('caller', room))
  await caller.call('publishTone', { frequency: 440, peak: 8_000 })
  await using agent = createAgent({
    secrets: SECRET,
    entry: async (job) => {
      const joined = await job.connect()
      const [track] = (await once(joined, 'trackSubscribed')) as [RemoteTrack]
      await hear(new AudioStream(track), 440)
      await using _tone = await playTone(joined, 660, 8_000)
      await once(joined, 'dataReceived')
    },
  })
  const http = express().post('/livekit/agent', agent.express()).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/livekit/agent`
  await using dispatcher = await createDispatcher({
    livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
    listen: '127.0.0.1:0',
    store: ':memory:',
    agents: [{ name, jobTypes: ['JT_ROOM'], endpoints: [{ url, secret: SECRET }] }],
  }).start()
  const [running, ended] = [once(dispatcher, 'jobRunning'), once(dispatcher, 'jobEnded')]

  await server.dispatch(room, name)
  const [{ jobId }] = await running
  await caller.hears(`agent-${jobId}`, 660)
  await caller.call('publishData', { text: 'thank you' })
  expect((await ended)[0]).toMatchObject({ jobId, status: 'success' })
  expect(await server.logLine('job ended', jobId)).toContain('JS_SUCCESS')
  await caller.event('participantDisconnected', ({ identity }) => identity === `agent-${jobId}`)

  http.closeAllConnections()
  http.close()
})
