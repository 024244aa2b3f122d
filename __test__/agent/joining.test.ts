// How a job comes into its room: listeners first, then the join, with the profile it was accepted with, to whom it waits
// for; and what is said of an entry function that forgot to wait.

import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { currentJob, type Job, ParticipantKind, type RemoteParticipant, Room, TrackKind } from '../../ts/index.js'
import { post } from '../support/doors.js'
import { ended, JobBench } from '../support/job-bench.js'
import type { CapturedLogs } from '../support/logs.js'
import { Peer } from '../support/peer.js'
import type { LiveKitServer } from '../support/server.js'
import { roomName } from '../support/server.js'

let bench: JobBench
let server: LiveKitServer
let logs: CapturedLogs
const unseen: unknown[] = []
const onUnseen = (reason: unknown) => unseen.push(reason)

beforeAll(async () => {
  bench = await JobBench.open()
  ;({ server, logs } = bench)
  process.on('unhandledRejection', onUnseen)
})

afterEach(() => bench.clear())
afterAll(() => {
  process.off('unhandledRejection', onUnseen)
  return bench[Symbol.asyncDispose]()
})

/** A room of its own, and a job for it that is not posted yet. */
async function room(change: Record<string, unknown> = {}) {
  const name = roomName('join')
  return { name, given: await bench.webhook({ room: { sid: `RM_${name}`, name }, ...change }) }
}

describe('F-R3: job.room', () => {
  test('is a Room before connect(), and its listeners miss nothing of what was there', async () => {
    const seen: string[] = []
    let heard = (): void => {}
    const subscribed = new Promise<void>((resolve) => {
      heard = resolve
    })
    const { agent, door } = await bench.start({
      entry: async (job) => {
        expect(job.room).toBeInstanceOf(Room)
        expect(job.room.isConnected).toBe(false)
        job.room.on('trackSubscribed', (track, publication, participant) => {
          seen.push(`${participant.identity} ${track.kind === TrackKind.KIND_AUDIO} ${publication.sid === track.sid}`)
          heard()
        })
        const joined = await job.connect()
        expect(joined).toBe(job.room)
        // What is there already can be walked.
        seen.push(...[...job.room.remoteParticipants.values()].map(({ identity }) => identity))
        await subscribed
        expect(currentJob()).toBe(job)
      },
    })
    const { name, given } = await room()
    await using peer = await Peer.join(server.url, await server.token('caller', name))
    await peer.call('publishTone', { frequency: 440, peak: 8_000 })
    const end = ended(agent)
    await post(door, given.webhook)
    expect((await end).result).toEqual({ status: 'success' })
    expect(seen).toEqual(['caller', 'caller true true'])
  })

  test('is described by job.info, whatever the Room says', async () => {
    const { agent, door } = await bench.start({ entry: () => {} })
    const { name, given } = await room({ agent_name: 'greeter' })
    const end = ended(agent)
    await post(door, given.webhook)
    const { job } = await end
    expect(job.info).toMatchObject({ id: given.id, agentName: 'greeter', room: { sid: `RM_${name}`, name } })
    const { metadata, attributes } = job.info
    expect([job.id, job.type, job.metadata, job.attributes]).toEqual([given.id, 'JT_ROOM', metadata, attributes])
  })
})

describe('F-R12: the profile of accept()', () => {
  const profile = { name: 'Ada', metadata: 'greeter', attributes: { mood: 'good' } }

  test('is applied before connect() resolves, and what entry sets right after is kept', async () => {
    const own: unknown[] = []
    const { agent, door } = await bench.start({
      request: (request) => request.accept(profile),
      entry: async (job) => {
        const { localParticipant: me } = await job.connect()
        own.push({ name: me.name, metadata: me.metadata, attributes: me.attributes })
        await me.updateName('Grace')
        await me.setAttributes({ mood: 'better' })
        await once(job.signal, 'abort')
      },
    })
    const { name, given } = await room()
    await using peer = await Peer.join(server.url, await server.token('watcher', name))
    const begun = once(agent, 'job')
    await post(door, given.webhook)
    const [job] = (await begun) as [Job]
    await peer.event('participantAttributesChanged', ({ changed }) => (changed as { mood?: string }).mood === 'better')
    expect(own).toEqual([
      expect.objectContaining({ ...profile, attributes: expect.objectContaining({ mood: 'good' }) }),
    ])
    const participants = await server.rooms.listParticipants(name)
    expect(participants.find(({ identity }) => identity === 'agent-1')).toMatchObject({
      name: 'Grace',
      metadata: 'greeter',
      attributes: { mood: 'better' },
    })
    const end = ended(agent)
    job.complete()
    await end
  })
})

describe('job.waitForParticipant', () => {
  test('gives who is there, who joins, by identity and by kind, and can be asked before the join', async () => {
    const seen: string[] = []
    const { agent, door } = await bench.start({
      entry: async (job) => {
        const first = job.waitForParticipant()
        const late = job.waitForParticipant({ identity: 'late', kind: [ParticipantKind.STANDARD] })
        await job.connect()
        seen.push((await first).identity, (await job.waitForParticipant({ identity: 'caller' })).identity)
        seen.push((await late).identity)
        const agents = job.waitForParticipant({ kind: ParticipantKind.AGENT, signal: AbortSignal.timeout(1) })
        await expect(agents).rejects.toMatchObject({ name: 'AbortError' })
        await expect(job.waitForParticipant({ kind: 99 as never })).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
      },
    })
    const { name, given } = await room()
    await using _caller = await Peer.join(server.url, await server.token('caller', name))
    const end = ended(agent)
    const running = new Promise<void>((resolve) => {
      agent.on('job', (job) => job.once('running', () => resolve()))
    })
    await post(door, given.webhook)
    await running
    await using _late = await Peer.join(server.url, await server.token('late', name))
    expect(await end).toMatchObject({ result: { status: 'success' } })
    expect(seen).toEqual(['caller', 'caller', 'late'])
  })

  test('ends with the job', async () => {
    let waiting: Promise<RemoteParticipant> | undefined
    const { agent, door } = await bench.start({
      entry: async (job) => {
        await job.connect()
        waiting = job.waitForParticipant()
        job.complete()
      },
    })
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    const { job } = await end
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    expect(job.endReason).toBe('ended')
  })
})

describe('F-R5: a promise of ours that nobody awaits never ends the process', () => {
  test('a forgotten `await job.connect()` ends as a warning', async () => {
    const { agent, door } = await bench.start({
      entry: (job) => {
        void job.connect()
        void job.waitForParticipant()
      },
    })
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    await end
    await new Promise((resolve) => setImmediate(resolve))
    expect(logs.matching('warn', { jobId: given.id })).toHaveLength(1)
    expect(unseen).toEqual([])
  })

  test('and one that failed for another reason reaches the agent', async () => {
    const errors: unknown[] = []
    const { agent, door } = await bench.start({
      entry: async (job) => {
        void job.connect({ joinRetries: 0, connectTimeoutMs: 'soon' as never })
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
        job.complete()
      },
    })
    agent.on('error', (error, job) => errors.push([(error as { code?: string }).code, job?.id]))
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    await end
    expect(errors).toEqual([['CONFIG_INVALID', given.id]])
    expect(unseen).toEqual([])
  })
})

describe('F-R9: one warning at the default level', () => {
  const warnings = (id: string) => logs.matching('warn', { jobId: id }).map(({ message }) => message)

  test('for an entry that returns milliseconds after joining', async () => {
    const { agent, door } = await bench.start({ entry: (job) => job.connect() })
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    await end
    expect(warnings(given.id)).toEqual([expect.stringContaining('entry returned right after it had joined')])
  })

  test('for one that never joins', async () => {
    const { agent, door } = await bench.start({ entry: () => {} })
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    await end
    expect(warnings(given.id)).toEqual([expect.stringContaining('entry returned without joining')])
  })

  test('and none for one that completes its job', async () => {
    const { agent, door } = await bench.start({
      entry: async (job) => {
        await job.connect()
        job.complete()
      },
    })
    const { given } = await room()
    const end = ended(agent)
    await post(door, given.webhook)
    await end
    expect(warnings(given.id)).toEqual([])
  })
})
