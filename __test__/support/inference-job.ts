// A job context for tests of inference requests: jobs with rooms in any state, and an async context that keeps them.

import { AsyncLocalStorage } from 'node:async_hooks'
import { type InferenceJob, setCurrentJobLookup } from '../../ts/inference/metadata.js'

/** A job whose room can be changed at will. */
export interface TestJob extends InferenceJob {
  id: string
  room: { sid: string }
  liveRoom: { isConnected: boolean; localParticipant: { sid: string } }
}

/** A job in a connected room. */
export function testJob(name = 'b'): TestJob {
  return {
    id: `AJ_${name}`,
    room: { sid: `RM_${name}` },
    liveRoom: { isConnected: true, localParticipant: { sid: `PA_${name}` } },
  }
}

const running = new AsyncLocalStorage<InferenceJob>()

/** Runs a function as a job's `entry`: calls inside find the job by themselves. */
export function runInJob<T>(job: InferenceJob, fn: () => T): T {
  setCurrentJobLookup(() => running.getStore())
  return running.run(job, fn)
}

/** The attribution of a job from {@link testJob}, as it is on the wire. */
export function attribution(name = 'b'): [string, string][] {
  return [
    ['X-LiveKit-Room-Id', `RM_${name}`],
    ['X-LiveKit-Job-Id', `AJ_${name}`],
    ['X-LiveKit-Agent-Id', `PA_${name}`],
  ]
}
