// The agent id of inference requests against a real room in every state it has: S0-03, S0-04 and S0-06 without any stand-in.

import { once } from 'node:events'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Room, SimulateScenarioKind } from '../../ts/index.js'
import { inferenceFetch, inferenceHeaders } from '../../ts/inference.js'
import { startGateway } from '../support/gateway.js'
import { LiveKitServer, roomName } from '../support/server.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(() => server[Symbol.asyncDispose]())

test('S0-03, S0-04, S0-06: it is there while the room is connected or reconnecting, always the newest sid, and the builder never throws', async () => {
  await using gateway = await startGateway()
  await using room = new Room()
  const name = roomName()
  const job = { id: 'AJ_b', room: { sid: 'RM_a' }, liveRoom: room }
  const agentId = () => {
    const headers = inferenceHeaders(job)
    expect(headers).toMatchObject({ 'X-LiveKit-Room-Id': 'RM_a', 'X-LiveKit-Job-Id': 'AJ_b' })
    return headers['X-LiveKit-Agent-Id']
  }
  const ask = inferenceFetch({ ...gateway.keys, baseURL: gateway.url, job })
  const onTheWire = async () => {
    await ask('models')
    return gateway.requests.at(-1)?.header('x-livekit-agent-id')
  }
  expect(agentId()).toBeUndefined()
  const connecting = room.connect(server.url, await server.token('agent', name))
  expect(agentId()).toBeUndefined()
  await connecting

  const before = (await server.rooms.getParticipant(name, 'agent')).sid
  expect(before).toMatch(/^PA_/)
  expect([agentId(), await onTheWire()]).toEqual([before, before])

  const whileReconnecting: (string | undefined)[] = []
  room.on('reconnecting', () => whileReconnecting.push(agentId()))
  const reconnected = once(room, 'reconnected')
  await room.simulateScenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
  await reconnected
  expect(whileReconnecting).toEqual([before])

  const after = (await server.rooms.getParticipant(name, 'agent')).sid
  expect(after).not.toBe(before)
  // LiveKit tells the new sid in an update of its own, which may come after the reconnection.
  await vi.waitFor(() => expect(agentId()).toBe(after), { timeout: 5_000, interval: 10 })
  expect(await onTheWire()).toBe(after)

  await room.disconnect()
  expect([agentId(), await onTheWire()]).toEqual([undefined, undefined])
})
