// Jobs and models that only say what they were asked.

import type { InferenceJob } from '../../ts/inference.js'

/** A job whose ids carry a name, in a connected room. */
export function jobOf(name: string): InferenceJob {
  return {
    id: `AJ_${name}`,
    room: { sid: `RM_${name}` },
    liveRoom: { isConnected: true, localParticipant: { sid: `PA_${name}` } },
  }
}

/** A model that only records what it is called with. */
export function recorder(specificationVersion = 'v3') {
  const calls: { headers?: Record<string, unknown> }[] = []
  const call = async (options: { headers?: Record<string, unknown> }) => {
    calls.push(options)
    return {}
  }
  return {
    calls,
    model: {
      specificationVersion,
      provider: 'vendor.chat',
      modelId: 'm',
      doGenerate: call,
      doStream: call,
      doRerank: call,
    },
  }
}
