// The only importer of the native binding. It rebuilds error classes from the codes the core throws, and refuses to do
// anything else: no defaults, no decisions.

import * as binding from '../../index.js'
import { createError, isErrorCode, RoomhookError } from './errors.js'

export { binding as native }

interface NativeError extends Error {
  code?: string
  retryable?: boolean
}

/** Turns an error of the native core into its class, with the stack of the caller. Other values pass unchanged. */
export function rebuild(error: unknown, caller?: (...args: never[]) => unknown): unknown {
  if (!(error instanceof Error) || error instanceof RoomhookError) return error
  const { code, message, retryable, cause } = error as NativeError
  if (!isErrorCode(code)) return error
  const rebuilt = createError(code, message, {
    retryable: retryable ?? false,
    ...(cause === undefined ? {} : { cause }),
  })
  if (caller !== undefined) Error.captureStackTrace(rebuilt, caller)
  return rebuilt
}

/** Runs a synchronous call into the core; what it throws becomes the error's class. */
export function callNative<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw rebuild(error, callNative)
  }
}

/** Awaits a call into the core; what it rejects with becomes the error's class, with the caller's stack. */
export async function awaitNative<T>(call: () => Promise<T>): Promise<T> {
  const here = new Error()
  Error.captureStackTrace(here, awaitNative)
  try {
    return await call()
  } catch (error) {
    const rebuilt = rebuild(error)
    if (rebuilt instanceof RoomhookError && here.stack !== undefined) {
      rebuilt.stack = `${rebuilt.name}: ${rebuilt.message}${here.stack.slice('Error'.length)}`
    }
    throw rebuilt
  }
}
