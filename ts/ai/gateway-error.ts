// Failures of the gateway as errors of both worlds: a RoomhookError with a code, and what the AI SDK recognises as a
// failed call, so that its retry layer (the only one of a call) decides. **`isRetryable` is `retryable`**, for every error
// that is made here.

import { ConnectionError, createError, RoomhookError } from '../base/errors.js'
import { faultError, type InferenceFault, isQuota, readFault, reportQuota } from '../inference/fault.js'
import { type InferenceQuota, quotaHeaders } from '../inference/quota.js'

/** What the AI SDK reads of a failed call, beside the error's own fields. */
export interface CallFailure {
  readonly statusCode: number | undefined
  readonly isRetryable: boolean
  readonly url: string
  /** The answer's headers, in lower case, without cookies. */
  readonly responseHeaders: Record<string, string>
  /** What the gateway said, cut to 16384 characters, without credentials. It can repeat the prompt: not for logs. */
  readonly responseBody?: string | undefined
}

/** An error of a call to the gateway. */
export type GatewayCallError = RoomhookError & CallFailure

// How the SDK knows its own errors across copies of its packages.
const MARKS = [Symbol.for('vercel.ai.error'), Symbol.for('vercel.ai.error.AI_APICallError')]

function mark(error: RoomhookError, failure: Partial<Omit<CallFailure, 'isRetryable'>> = {}): GatewayCallError {
  for (const symbol of MARKS) Object.defineProperty(error, symbol, { value: true })
  // The AI SDK takes a `TimeoutError` for the caller's own.
  error.name = error.constructor.name
  const rest = { statusCode: undefined, url: '', responseHeaders: {}, requestBodyValues: {} }
  return Object.assign(error, rest, failure, { isRetryable: error.retryable })
}

const ADVICE: Record<number, string> = {
  400: 'check the call’s options against the model',
  401: 'check apiKey and apiSecret, and the clock of this machine',
  403: 'check that the project may use this model',
  404: 'check the model’s id and the base URL',
}

function advice(fault: InferenceFault): string {
  if (!isQuota(fault)) return ADVICE[fault.statusCode ?? 0] ?? (fault.retryable ? 'try again later' : 'check the call')
  return fault.retryable ? 'wait, or ask for a higher quota' : 'the quota is used up, and waiting does not help'
}

/** The error of what the gateway said. */
function said(expected: string, fault: InferenceFault, url: string, headers: Headers | undefined): GatewayCallError {
  const { statusCode, retryable } = fault
  const isCallers = statusCode !== undefined && !retryable && !isQuota(fault)
  const requestId = headers?.get('x-request-id')
  const code = isCallers ? 'CONFIG_INVALID' : 'TRANSPORT_FAILED'
  const error = faultError(code, [expected, advice(fault)], fault, { requestId })
  const responseHeaders = Object.fromEntries([...(headers ?? [])].filter(([name]) => name !== 'set-cookie'))
  return mark(error, { statusCode, url, responseHeaders })
}

/** The error of a response that is not 2xx. */
export function gatewayResponseError(url: string, response: Response, body: string): GatewayCallError {
  const expected = `expected the inference gateway to answer 200, got ${response.status}`
  return said(expected, readFault(response.status, body), url, response.headers)
}

/** Whether a part of a good answer (its body, an event, a message) says that the request failed. */
export function saysFailure(part: { type?: unknown; error?: unknown }): boolean {
  const { type, error } = part
  const hasError = (typeof error === 'object' && error !== null) || (typeof error === 'string' && error !== '')
  return hasError || type === 'error' || type === 'inference_quota_exceeded'
}

/** The error of such a part, given as it came. */
export function gatewayPartError(url: string, part: string, headers?: Headers): GatewayCallError {
  const fault = readFault(undefined, part)
  if (isQuota(fault)) reportQuota(fault, undefined)
  return said('the inference gateway ended the answer with an error', fault, url, headers)
}

/** The error of an answer that broke off, or is none; asking again may help. */
export function brokenAnswer(message: string, cause?: unknown): GatewayCallError {
  const options = cause === undefined ? { retryable: true } : { retryable: true, cause }
  return mark(new ConnectionError('TRANSPORT_FAILED', message, options))
}

/** The error of a request that the gateway took and did not answer in time: sent again, it may be paid for twice. */
export function tookTooLong(message: string, timeoutMs: number): GatewayCallError {
  return mark(new ConnectionError('TIMED_OUT', message, { details: { timeoutMs } }))
}

/** Whether an error says that the caller gave up, rather than that something failed. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && /^(?:AbortError|TimeoutError)$/.test(error.name)
}

/** What a refused or failed attempt to open a socket tells. */
interface Refusal {
  statusCode?: number
  retryAfterMs?: number
  requestId?: string
  quota?: InferenceQuota
}

/** The error of a request that got no response. Cancellation and errors of configuration pass unchanged. */
export function gatewayRequestError(url: string, cause: unknown): unknown {
  if (cause instanceof ConnectionError) {
    const { statusCode, retryAfterMs, requestId, quota } = (cause.details ?? {}) as Refusal
    const responseHeaders = {
      ...(retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) }),
      ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
      ...(quota === undefined ? {} : quotaHeaders(quota)),
    }
    return mark(cause, { statusCode, url, responseHeaders })
  }
  if (cause instanceof RoomhookError || isAbort(cause)) return cause
  const message = 'the inference gateway did not answer; check the base URL and the network'
  return mark(createError('TRANSPORT_FAILED', message, { cause, retryable: true }), { url })
}
