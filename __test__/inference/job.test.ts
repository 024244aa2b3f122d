// A real Job object as the source of attribution: by itself inside `entry`, explicitly anywhere.

import { describe, expect, test } from 'vitest'
import { Job, type JobControls, runInJob } from '../../ts/agent/job.js'
import { inferenceHeaders } from '../../ts/inference.js'
import { Room } from '../../ts/room/room.js'

function job(name: string, room: unknown = new Room()): Job {
  const info = { id: `AJ_${name}`, dispatchId: '', type: 'JT_ROOM', agentName: '', metadata: '', attributes: {} }
  const controls = { signal: new AbortController().signal, status: 'running', room }
  return new Job({ ...info, room: { sid: `RM_${name}`, name: 'r' } } as never, controls as unknown as JobControls)
}

const ids = (name: string) => ({ 'X-LiveKit-Room-Id': `RM_${name}`, 'X-LiveKit-Job-Id': `AJ_${name}` })

describe('a job', () => {
  test('S0-02, S0-03: job.inferenceHeaders() is the builder with this job', () => {
    const userAgent = { 'User-Agent': expect.stringMatching(/^roomhook\//) }
    expect(job('a').inferenceHeaders()).toEqual({ ...userAgent, ...ids('a') })
    const connected = { isConnected: true, localParticipant: { sid: 'PA_a' } }
    const headers = job('a', connected).inferenceHeaders({ priority: 'low', headers: { 'x-mine': '1' } })
    expect(headers).toEqual({
      ...userAgent,
      'x-mine': '1',
      ...ids('a'),
      'X-LiveKit-Agent-Id': 'PA_a',
      'X-LiveKit-Inference-Priority': 'low',
    })
  })

  test('S0-03: a Room that never connected adds no agent id', () => {
    expect(job('a').inferenceHeaders()).toEqual({ 'User-Agent': expect.any(String), ...ids('a') })
  })

  test('S0-16: inside entry functions the job is found by itself, and interleaved jobs never mix', async () => {
    const seen = async (name: string) =>
      runInJob(job(name), async () => {
        const found = new Set<string | undefined>()
        for (let step = 0; step < 50; step++) {
          await new Promise((resolve) => (step % 2 ? setImmediate(resolve) : queueMicrotask(() => resolve(undefined))))
          found.add(inferenceHeaders()['X-LiveKit-Job-Id'])
        }
        return [...found]
      })
    const names = Array.from({ length: 20 }, (_, at) => String(at))
    expect(await Promise.all(names.map(seen))).toEqual(names.map((name) => [`AJ_${name}`]))
    expect(inferenceHeaders()).not.toHaveProperty('X-LiveKit-Job-Id')
    await runInJob(job('outer'), async () => {
      expect(inferenceHeaders(job('explicit'))).toMatchObject(ids('explicit'))
      expect(inferenceHeaders(null)).not.toHaveProperty('X-LiveKit-Job-Id')
    })
  })

  test('wrong options are a ConfigError', () => {
    expect(() => job('a').inferenceHeaders(null as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})
