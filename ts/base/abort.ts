// Cancellation: the caller's AbortSignal stays in TypeScript; the core only ever sees `cancel()`.

import { setTimeout as delay } from 'node:timers/promises'
import { ClosedError } from './errors.js'
import { checkOptions, invalid } from './options.js'

/** The options of what does nothing but wait. */
export interface WaitOptions {
  /** Stops waiting when it aborts: an `AbortError` is thrown. Default: none. */
  signal?: AbortSignal | undefined
}

/** Checks an optional signal: anything but an AbortSignal is refused. */
export function checkSignal(value: unknown, path: string): AbortSignal | undefined {
  if (value === undefined) return undefined
  if (!(value instanceof AbortSignal)) throw invalid(path, 'an AbortSignal', value)
  return value
}

/** Checks the options of what does nothing but wait. */
export function checkWait(options: WaitOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined
  return checkSignal(checkOptions(options, 'options', ['signal']).signal, 'options.signal')
}

function aborted(signal: AbortSignal): ClosedError {
  return new ClosedError('ABORTED', 'the operation was aborted by its signal', { cause: signal.reason })
}

/**
 * Runs an operation that can be cancelled, or at least waited for no longer. An aborted signal rejects with an `AbortError` whose `cause` is the signal's
 * reason, after `cancel` was called once; the listener never outlives the operation.
 */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
  cancel: () => void = () => {},
): Promise<T> {
  if (signal === undefined) return run()
  if (signal.aborted) throw aborted(signal)
  let onAbort: (() => void) | undefined
  const cancelled = new Promise<never>((_, reject) => {
    onAbort = () => {
      cancel()
      reject(aborted(signal))
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([run(), cancelled])
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
  }
}

/** Waits for a promise that never rejects, but no longer than this; at most 2^31 - 1 ms, where timers wrap. */
export async function within(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  const late = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => {})
  await Promise.race([promise, late])
  over.abort()
}
