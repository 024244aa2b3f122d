// What the gateway says about quotas in the headers of a response. A missing or unreadable one is unknown, never zero.

/** Limits and usage: requests and tokens a minute, credits. Each is there only if the gateway said it. */
export interface InferenceQuota {
  rpmLimit?: number
  rpmUsed?: number
  tpmLimit?: number
  tpmUsed?: number
  creditsLimit?: number
  creditsUsed?: number
}

const FIELDS: readonly (readonly [keyof InferenceQuota, string])[] = [
  ['rpmLimit', 'x-livekit-inference-rpm-limit'],
  ['rpmUsed', 'x-livekit-inference-rpm-used'],
  ['tpmLimit', 'x-livekit-inference-tpm-limit'],
  ['tpmUsed', 'x-livekit-inference-tpm-used'],
  ['creditsLimit', 'x-livekit-inference-credits-limit'],
  ['creditsUsed', 'x-livekit-inference-credits-used'],
]
const NUMBER = /^[\t ]*\d{1,15}(?:\.\d{1,15})?[\t ]*$/

/** Reads the quota headers of a response; `undefined` when it has none. */
export function inferenceQuota(headers: Headers): InferenceQuota | undefined {
  let quota: InferenceQuota | undefined
  for (const [field, name] of FIELDS) {
    const value = headers.get(name)
    if (value === null || !NUMBER.test(value)) continue
    quota ??= {}
    quota[field] = Number(value)
  }
  return quota
}

/** The headers that say it, in lower case. */
export function quotaHeaders(quota: InferenceQuota): Record<string, string> {
  const told = FIELDS.filter(([field]) => quota[field] !== undefined)
  return Object.fromEntries(told.map(([field, name]) => [name, String(quota[field])]))
}
