// What the gateway says about quotas in the headers of a response. A missing or unreadable one is unknown, never zero.

import { native } from '../base/native.js'
import { join } from './headers.js'

/** Limits and usage: requests and tokens a minute, credits. Each is there only if the gateway said it. */
export interface InferenceQuota {
  rpmLimit?: number | undefined
  rpmUsed?: number | undefined
  tpmLimit?: number | undefined
  tpmUsed?: number | undefined
  creditsLimit?: number | undefined
  creditsUsed?: number | undefined
}

/** Reads the quota headers of a response; `undefined` when it has none. */
export function inferenceQuota(headers: Headers): InferenceQuota | undefined {
  return native.inferenceQuota(join([...headers])) ?? undefined
}

/** The headers that say it, in lower case: `rpmLimit` is `x-livekit-inference-rpm-limit`. */
export function quotaHeaders(quota: InferenceQuota): Record<string, string> {
  const name = (field: string) => field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  const told = Object.entries(quota).filter(([, value]) => value !== undefined)
  return Object.fromEntries(told.map(([field, value]) => [`x-livekit-inference-${name(field)}`, String(value)]))
}
