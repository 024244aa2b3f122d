// The one retry layer of a call: how long to wait, and the wait itself. The decision is the core's; a wait ends at once
// when the caller gives up.

import { callNative, native } from '../base/native.js'
import { checkInteger, checkOptions, invalid } from '../base/options.js'

/** How often and when a failed call is made again. */
export interface InferenceRetryOptions {
  /** Attempts after the first, 0 to 100. Default: 3. */
  maxRetries?: number | undefined
  /** The wait before each retry in milliseconds; the last one repeats. Default: `[100, 2000, 2000]`. */
  waitsMs?: readonly number[] | undefined
  /**
   * The longest `Retry-After` that is waited for, in milliseconds. A longer one ends the call with the response that
   * asked for it. Default: 60000.
   */
  maxRetryAfterMs?: number | undefined
  /** The share of a wait that randomness takes away, 0 to 1. Default: 0. */
  jitter?: number | undefined
}

/** A complete policy. */
export interface RetryPolicy {
  maxRetries: number
  waitsMs: number[]
  maxRetryAfterMs: number
  jitter: number
}

const HOUR_MS = 3_600_000

/** Checks and completes the option; `false` is a policy without retries. */
export function checkRetry(value: InferenceRetryOptions | false | undefined, path: string): RetryPolicy {
  if (value === false) return { maxRetries: 0, waitsMs: [], maxRetryAfterMs: 0, jitter: 0 }
  const given = checkOptions(value, path, ['maxRetries', 'waitsMs', 'maxRetryAfterMs', 'jitter'])
  const { waitsMs = [100, 2000, 2000], jitter = 0 } = given
  if (!Array.isArray(waitsMs) || waitsMs.length > 100) throw invalid(`${path}.waitsMs`, 'an array of numbers', waitsMs)
  if (typeof jitter !== 'number' || !(jitter >= 0 && jitter <= 1)) {
    throw invalid(`${path}.jitter`, 'a number from 0 to 1', jitter)
  }
  return {
    maxRetries: checkInteger(given.maxRetries ?? 3, `${path}.maxRetries`, 0, 100),
    waitsMs: waitsMs.map((wait: unknown, at) => checkInteger(wait, `${path}.waitsMs[${at}]`, 0, HOUR_MS)),
    maxRetryAfterMs: checkInteger(given.maxRetryAfterMs ?? 60_000, `${path}.maxRetryAfterMs`, 0, HOUR_MS),
    jitter,
  }
}

/**
 * The wait in milliseconds before the attempt after number `attempt` (counted from 1); `undefined` when that was the last.
 * `status` is what the server answered, `undefined` when it did not answer.
 */
export function retryWait(
  policy: RetryPolicy,
  attempt: number,
  status: number | undefined,
  retryAfter: string | undefined,
): number | undefined {
  if (attempt > policy.maxRetries) return undefined
  const wait = callNative(() =>
    native.inferenceRetryWait(policy, attempt, status, retryAfter, Date.now(), Math.random()),
  )
  return wait ?? undefined
}

/** Waits; rejects with the signal's reason as soon as it is aborted. */
export async function pause(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, waitMs)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
