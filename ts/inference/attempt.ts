// One attempt of a request: sent, cut when its answer does not begin in time, and its body watched while it is read. It
// settles whatever `fetch` does, and it refuses to leave a connection behind. What the end of an attempt means for the
// call is not decided here.

import { ConfigError, ConnectionError, RoomhookError } from '../base/errors.js'
import { kindOf } from '../base/options.js'

/** How long an attempt may take, in milliseconds. */
export interface AttemptLimits {
  /** Until the response's headers. */
  timeoutMs: number
  /** Between two pieces of the response's body, while somebody reads it. */
  idleTimeoutMs: number
}

/** An attempt that no server answered. */
export interface Failed {
  failure: unknown
}

/** How an attempt ended. */
export type Outcome = Response | Failed

/** Sends a request once. Never rejects: the caller decides what a failure means. */
export function attempt(
  send: typeof fetch,
  input: string | URL | Request,
  init: RequestInit,
  signal: AbortSignal | undefined,
  limits: AttemptLimits,
): Promise<Outcome> {
  const { timeoutMs } = limits
  const controller = new AbortController()
  return new Promise((resolve) => {
    let over = false
    // The caller's signal is let go as soon as it has nothing more to cut: it may live as long as the process, and
    // AbortSignal.any would stay with it.
    const release = () => signal?.removeEventListener('abort', abort)
    const end = (failure: unknown): void => {
      over = true
      clearTimeout(timer)
      release()
      resolve({ failure })
    }
    const cut = (failure: unknown): void => {
      end(failure)
      controller.abort(failure)
    }
    const abort = () => cut(signal?.reason)
    const timer = setTimeout(() => cut(timedOut('an answer of the inference gateway', timeoutMs)), timeoutMs)
    if (signal?.aborted === true) return abort()
    signal?.addEventListener('abort', abort)
    const begun = async (): Promise<unknown> => send(input, { ...init, signal: controller.signal })
    begun().then((response) => {
      if (!isResponse(response)) return over ? undefined : end(notAResponse(response))
      if (over) return discard(response)
      clearTimeout(timer)
      resolve(watched(response, limits.idleTimeoutMs, controller, release))
    }, end)
  })
}

/**
 * The response with a body that errs when it is read and nothing comes for too long. Nobody waits for a reader: time
 * counts only while a piece is asked for.
 */
function watched(
  response: Response,
  idleTimeoutMs: number,
  controller: AbortController,
  release: () => void,
): Response {
  const { body, url, redirected } = response
  // Not every `fetch` answers with a web stream; one without a body has nothing to watch.
  if (!(body instanceof ReadableStream)) {
    if (body === null) release()
    return response
  }
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  let timer: NodeJS.Timeout | undefined
  const over = (): void => {
    clearTimeout(timer)
    release()
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(pieces) {
        reader ??= body.getReader()
        // One timer for all pieces: it keeps the process alive only while a piece is waited for.
        timer = timer?.ref().refresh() ?? setTimeout(() => expire(pieces), idleTimeoutMs)
        try {
          const { done, value } = await reader.read()
          timer.unref()
          if (!done) return pieces.enqueue(value)
          over()
          pieces.close()
        } catch (error) {
          over()
          pieces.error(error)
        }
      },
      cancel(reason) {
        over()
        return reader === undefined ? body.cancel(reason) : reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
  const expire = (pieces: ReadableStreamDefaultController<Uint8Array>): void => {
    if (timer?.hasRef() !== true) return
    const failure = timedOut('more of the inference gateway’s answer', idleTimeoutMs)
    over()
    pieces.error(failure)
    controller.abort(failure)
    reader?.cancel(failure).catch(() => undefined)
  }
  return Object.defineProperties(new Response(stream, response), {
    url: { value: url, configurable: true },
    redirected: { value: redirected, configurable: true },
  })
}

/** Gives a response's connection back. */
export async function discard(response: Response): Promise<void> {
  try {
    await response.body?.cancel()
  } catch {
    // A body that is being read, or that is no web stream: whoever has it ends it.
  }
}

function timedOut(what: string, timeoutMs: number): ConnectionError {
  return new ConnectionError('TIMED_OUT', `expected ${what} within ${timeoutMs} ms`, {
    retryable: true,
    details: { timeoutMs },
  })
}

function isResponse(value: unknown): value is Response {
  return typeof value === 'object' && value !== null && typeof (value as Response).status === 'number'
}

function notAResponse(value: unknown): ConfigError {
  return new ConfigError('HOOK_RETURN_INVALID', `options.fetch must resolve to a Response, got ${kindOf(value)}`)
}

// What the system says about a connection: `ECONNRESET`, `ENOTFOUND`, … An `ERR_…` is a mistake or a refusal (a
// certificate, say), which does not go away.
const CONNECTION = /^(?:E[A-Z0-9]+|EAI_AGAIN|UND_ERR_(?:SOCKET|CONNECT_TIMEOUT))$/
// undici's own limits, 300 s each.
const SLOW = /^UND_ERR_(?:HEADERS|BODY)_TIMEOUT$/

/** Why an attempt had no answer: the connection failed, the answer took too long, or anything else, which stays so. */
export function reasonOf(failure: unknown): 'connection' | 'slow' | 'other' {
  if (RoomhookError.isInstance(failure)) return failure.code === 'TIMED_OUT' ? 'slow' : 'other'
  for (const error of [failure, (failure as Error | undefined)?.cause]) {
    const code = (error as NodeJS.ErrnoException | undefined)?.code
    if (typeof code !== 'string') continue
    if (SLOW.test(code)) return 'slow'
    if (CONNECTION.test(code)) return 'connection'
  }
  return 'other'
}
