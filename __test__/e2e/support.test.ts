// The test equipment itself: a server starts and stops, and two peers hear each other through it.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

test('two rtc-node peers hear each other through a server of this test', async () => {
  const room = roomName()
  await using alice = await Peer.join(server.url, await server.token('alice', room))
  await using bob = await Peer.join(server.url, await server.token('bob', room))
  await alice.call('publishTone', { frequency: 440, peak: 8000 })
  await bob.hears('alice', 440)
  // The server tells about participants that publish nothing in batches, up to 3 s late.
  await alice.event('participantConnected')
  await bob.call('publishData', { text: 'hello', topic: 'greeting' })
  expect(await alice.event('dataReceived')).toMatchObject({ text: 'hello', topic: 'greeting', identity: 'bob' })
})
