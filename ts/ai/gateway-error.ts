// Failures of the gateway as errors of both worlds: a RoomhookError with a code, and what the AI SDK recognises as a
// failed call, so that its retry layer (the only one of a call) decides by `isRetryable` and `Retry-After`. It never
// carries a body, a prompt or the gateway's own sentence: only words that look like identifiers.

import { createError, type ErrorCode, RoomhookError } from '../base/errors.js'
import { type InferenceQuota, quotaHeaders } from '../inference/quota.js'

/** What the AI SDK reads of a failed call, beside the error's own fields. */
export interface CallFailure {
  readonly statusCode: number | undefined
  readonly isRetryable: boolean
  readonly url: string
  /** `retry-after`, `retry-after-ms` and the gateway's quota, in lower case. */
  readonly responseHeaders: Record<string, string>
}

/** An error of a call to the gateway. */
export type GatewayCallError = RoomhookError & CallFailure

// How the SDK knows its own errors across copies of its packages.
const MARKS = [Symbol.for('vercel.ai.error'), Symbol.for('vercel.ai.error.AI_APICallError')]

const KEPT = /^(?:retry-after(?:-ms)?|x-livekit-inference-(?:rpm|tpm|credits)-(?:limit|used))$/

function identifier(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined
}

function mark(error: RoomhookError, failure: CallFailure): GatewayCallError {
  for (const symbol of MARKS) Object.defineProperty(error, symbol, { value: true })
  return Object.assign(error, { ...failure, requestBodyValues: {} })
}

function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status === 499 || status >= 500
}

const ADVICE: Record<number, string> = {
  400: 'check the call’s options against the model',
  401: 'check apiKey and apiSecret, and the clock of this machine',
  403: 'check that the project may use this model',
  404: 'check the model’s id and the base URL',
  429: 'wait, or ask for a higher quota',
}

/** The error of a response that is not 2xx. `body` is its JSON, if it was JSON. */
export function gatewayResponseError(url: string, status: number, headers: Headers, body: unknown): GatewayCallError {
  const responseHeaders: Record<string, string> = {}
  headers.forEach((value, name) => {
    if (KEPT.test(name)) responseHeaders[name] = value
  })
  const given = (body as { error?: { code?: unknown; type?: unknown } } | null | undefined)?.error
  const reason = identifier(given?.code) ?? identifier(given?.type)
  const retryable = isTransient(status)
  const code: ErrorCode = retryable ? 'TRANSPORT_FAILED' : 'CONFIG_INVALID'
  const advice = ADVICE[status] ?? (retryable ? 'try again later' : 'check the request')
  const message = `expected the inference gateway to answer 200, got ${status}${reason === undefined ? '' : ` (${reason})`}; ${advice}`
  const details = { statusCode: status, ...(reason === undefined ? {} : { reason }) }
  const error = createError(code, message, { retryable, details })
  return mark(error, { statusCode: status, isRetryable: retryable, url, responseHeaders })
}

/** Whether an error says that the caller gave up, rather than that something failed. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && /^(?:AbortError|TimeoutError)$/.test(error.name)
}

/** The error of a 200 that is no answer; asking again may help. */
export function gatewayAnswerError(message: string, cause: unknown): GatewayCallError {
  const error = createError('TRANSPORT_FAILED', message, { retryable: true, ...(cause === undefined ? {} : { cause }) })
  return mark(error, { statusCode: 200, isRetryable: true, url: '', responseHeaders: {} })
}

/** What the gateway said when it refused a socket. */
interface Refusal {
  statusCode?: number
  retryAfterMs?: number
  quota?: InferenceQuota
}

/** The error of a request that got no response. Cancellation and errors of configuration pass unchanged. */
export function gatewayRequestError(url: string, cause: unknown): unknown {
  if (cause instanceof RoomhookError) {
    if (!cause.retryable) return cause
    // The AI SDK takes a `TimeoutError` for the caller's own, and would not try again.
    cause.name = cause.constructor.name
    const { statusCode, retryAfterMs, quota } = (cause.details ?? {}) as Refusal
    const wait: Record<string, string> = retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) }
    const responseHeaders = { ...wait, ...(quota === undefined ? {} : quotaHeaders(quota)) }
    return mark(cause, { statusCode, isRetryable: true, url, responseHeaders })
  }
  if (isAbort(cause)) return cause
  const message = 'the inference gateway did not answer; check the base URL and the network'
  const error = createError('TRANSPORT_FAILED', message, { cause, retryable: true })
  return mark(error, { statusCode: undefined, isRetryable: true, url, responseHeaders: {} })
}

/** The error of an answer with status 200 that says it failed, whole or in the middle of a stream or session. */
export function gatewayStreamError(given: { code?: unknown; type?: unknown }): RoomhookError {
  const reason =
    identifier(given.code) ?? (typeof given.code === 'number' ? String(given.code) : identifier(given.type))
  return createError(
    'TRANSPORT_FAILED',
    `the inference gateway ended the answer with an error${reason === undefined ? '' : ` (${reason})`}; try again later`,
    { retryable: true, ...(reason === undefined ? {} : { details: { reason } }) },
  )
}

/** The error that a speech session reports. */
export function sessionError(given: { code?: unknown; type?: unknown }): GatewayCallError {
  const status = typeof given.code === 'number' ? given.code : undefined
  const error = gatewayStreamError({ code: given.code })
  const retryable = status === undefined || status < 400 || status >= 500 || isTransient(status)
  return mark(error, { statusCode: status, isRetryable: retryable, url: '', responseHeaders: {} })
}
