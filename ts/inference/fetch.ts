// `inferenceFetch`: any `fetch`, dressed for the gateway: headers and a token for each attempt, one retry layer, one
// fresh token after a 401. Bodies that stream, either way, pass through untouched; a body that cannot be sent twice is
// sent once. It refuses to hand the token to another origin, or to follow a redirect with it.

import { ConnectionError, RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import { checkFunction, checkInteger, checkOptions, invalid } from '../base/options.js'
import { handOut } from '../base/promises.js'
import { attempt, discard, type Outcome, reasonOf } from './attempt.js'
import {
  attemptHeaders,
  attemptInit,
  bodyOf,
  CALL_KEYS,
  checkChoices,
  destination,
  type InferenceCallOptions,
  type InferenceRequestInit,
  type Pipeline,
  type PreparedCall,
  prepareCall,
  rulesFor,
} from './call.js'
import { isQuota, peekFault, reportQuota } from './fault.js'
import { GATEWAY_KEYS, GatewayAccess, type GatewayOptions } from './gateway.js'
import { warnDroppedOnce } from './headers.js'
import { type InferenceQuota, inferenceQuota } from './quota.js'
import { checkRetry, type InferenceRetryOptions, pause, type RetryPolicy, retryWait } from './retry.js'

/** Options of `inferenceFetch`. */
export interface InferenceFetchOptions extends GatewayOptions, InferenceCallOptions {
  /** The `fetch` to send with. Default: the global one, looked up at each call. */
  fetch?: typeof fetch | undefined
  /**
   * What the requests are for. `llm` (chat, embeddings, anything to a model): headers of hooks are sent. `avatar`: they
   * are not, and a `POST …/avatar/sessions` carries an `Idempotency-Key` that stays the same over its retries.
   * Default: `llm`.
   */
  service?: 'llm' | 'avatar' | undefined
  /** How often and when a failed request is made again; `false`: never, and failures pass unchanged. */
  retry?: InferenceRetryOptions | false | undefined
  /**
   * How long one attempt may take until the response's headers, 1 to 3600000 ms. Default: 10000, and 300000 for a `POST`
   * that may be answered only when all of the answer is there: one whose body does not ask for `"stream": true`. Node's
   * own `fetch` gives up after 300 s whatever this says.
   */
  timeoutMs?: number | undefined
  /**
   * How long nothing of the response's body may arrive while it is read, 1 to 3600000 ms; reading then fails with
   * `TIMED_OUT`. Default: 60000.
   */
  idleTimeoutMs?: number | undefined
}

/** A response, and what the gateway said about quotas in its headers. */
export interface InferenceResponse extends Response {
  /** `undefined` when the gateway said nothing. */
  readonly quota: InferenceQuota | undefined
}

/** A `fetch` for the gateway. A path without an origin (`chat/completions`) is below the base URL. */
export type InferenceFetch = (input: string | URL | Request, init?: InferenceRequestInit) => Promise<InferenceResponse>

interface Transport extends Pipeline {
  fetch: typeof fetch | undefined
  idempotent: boolean
  retry: RetryPolicy
  /** Without a retry layer failures pass unchanged, for a caller that has one. */
  retries: boolean
  timeoutMs: number | undefined
  idleTimeoutMs: number
}

/** Until the response's headers, where they come before the answer; LiveKit's own limit. */
const FIRST_BYTE_MS = 10_000
/** Until the response's headers, where the answer is whole by then; Node's own limit. */
const WHOLE_ANSWER_MS = 300_000

/**
 * Makes a `fetch` for LiveKit's inference gateway. It sends the attribution headers of the running job, the headers of
 * the running turn's hooks, and a token; it tries 408, 429, 499, 5xx and connection failures again, honours
 * `Retry-After`, and replaces a refused token once. A request that was not answered in time is sent again only if that
 * cannot do the same work twice: a `POST` without an `Idempotency-Key` may have been taken. The last response is returned whatever its status. Requests to
 * another origin than the base URL's are passed on as they are.
 *
 * @throws ConfigError `CONFIG_INVALID` for a wrong option or missing keys. The returned function rejects with
 * ConnectionError `TIMED_OUT` or `TRANSPORT_FAILED` (retryable, the network's error as `cause`) when no attempt was
 * answered, `TRANSPORT_FAILED` (not retryable) for a redirect when `redirect: 'error'` was asked for, and with the signal's reason when it was aborted.
 */
export function inferenceFetch(options?: InferenceFetchOptions): InferenceFetch {
  const given = checkOptions(options, 'options', [
    ...GATEWAY_KEYS,
    ...CALL_KEYS,
    'fetch',
    'service',
    'retry',
    'timeoutMs',
    'idleTimeoutMs',
  ])
  const service = given.service ?? 'llm'
  if (service !== 'llm' && service !== 'avatar') throw invalid('options.service', "'llm' or 'avatar'", service)
  const gateway = new GatewayAccess(given, 'options')
  const transport: Transport = {
    gateway,
    choices: checkChoices(given, 'options'),
    hooks: service === 'llm',
    rules: rulesFor('request', gateway),
    onDrop: warnDroppedOnce({ by: 'inferenceFetch' }),
    fetch: given.fetch === undefined ? undefined : checkFunction<typeof fetch>(given.fetch, 'options.fetch'),
    idempotent: service === 'avatar',
    retry: checkRetry(given.retry, 'options.retry'),
    retries: given.retry !== false,
    timeoutMs:
      given.timeoutMs === undefined ? undefined : checkInteger(given.timeoutMs, 'options.timeoutMs', 1, 3_600_000),
    idleTimeoutMs: checkInteger(given.idleTimeoutMs ?? 60_000, 'options.idleTimeoutMs', 1, 3_600_000),
  }
  return (input, init) => handOut(call(transport, input, init))
}

async function call(
  transport: Transport,
  given: string | URL | Request,
  init: InferenceRequestInit | undefined,
): Promise<InferenceResponse> {
  const input = destination(transport.gateway.baseURL, given)
  if (input === undefined) return withQuota(await (transport.fetch ?? globalThis.fetch)(given, init))
  const body = bodyOf(input, init)
  const prepared = prepareCall(transport, input, init, body && (await body), transport.idempotent)
  let token = transport.gateway.token()
  let refreshed = false
  for (let number = 1; ; ) {
    const outcome = await send(transport, prepared, token)
    let final = false
    if (!('failure' in outcome)) {
      if (outcome.status === 401 && !refreshed && prepared.replayable) {
        refreshed = true
        token = transport.gateway.tokenAfter(token)
        await discard(outcome)
        continue
      }
      if (outcome.status === 429 || outcome.status >= 500) {
        const fault = await peekFault(outcome)
        final = !fault.retryable
        if (isQuota(fault)) reportQuota(fault, inferenceQuota(outcome.headers))
      }
    }
    const wait = final ? undefined : waitAfter(transport, prepared, number, outcome)
    if (wait === undefined) return finish(transport, prepared, outcome, number)
    if (!('failure' in outcome)) await discard(outcome)
    await pause(wait, prepared.signal)
    token = transport.gateway.token()
    number += 1
  }
}

/** One attempt, with headers of its own: token, session id and the agent's sid may have changed. */
function send(transport: Transport, prepared: PreparedCall, token: string): Promise<Outcome> {
  const { timeoutMs = prepared.answersWhole ? WHOLE_ANSWER_MS : FIRST_BYTE_MS, idleTimeoutMs } = transport
  const init = attemptInit(prepared, attemptHeaders(transport, prepared.choices, prepared.headers, token))
  const limits = { timeoutMs, idleTimeoutMs }
  return attempt(transport.fetch ?? globalThis.fetch, prepared.input, init, prepared.signal, limits)
}

function waitAfter(
  { retry }: Transport,
  { replayable, repeatable, signal }: PreparedCall,
  number: number,
  outcome: Outcome,
): number | undefined {
  if (!replayable || signal?.aborted === true) return undefined
  let status: number | undefined
  let retryAfter: string | undefined
  if ('failure' in outcome) {
    const reason = reasonOf(outcome.failure)
    // A slow answer is no lost one: whoever took the request may still be at work on it, and is paid for it.
    if (reason === 'other' || (reason === 'slow' && !repeatable)) return undefined
  } else {
    if (outcome.ok) return undefined
    status = outcome.status
    retryAfter = outcome.headers.get('retry-after') ?? undefined
  }
  const wait = retryWait(retry, number, status, retryAfter)
  if (wait !== undefined) {
    const fields = { attempt: number, waitMs: wait, ...(status === undefined ? {} : { status }) }
    log.info('an inference request failed and is made again', fields)
  }
  return wait
}

function finish(
  { retries }: Transport,
  { signal, refusesRedirects }: PreparedCall,
  outcome: Outcome,
  attempts: number,
): InferenceResponse {
  if (!('failure' in outcome)) {
    if (refusesRedirects && isRedirect(outcome)) throw redirected(outcome)
    return withQuota(outcome)
  }
  const { failure } = outcome
  const reason = reasonOf(failure)
  if (RoomhookError.isInstance(failure) || signal?.aborted === true || reason === 'other') throw failure
  if (reason === 'slow') {
    throw new ConnectionError('TIMED_OUT', 'the inference gateway did not answer before `fetch` itself gave up', {
      cause: failure,
      retryable: true,
      details: { attempts },
    })
  }
  if (!retries) throw failure
  throw new ConnectionError(
    'TRANSPORT_FAILED',
    `expected an answer of the inference gateway, but all ${attempts} attempts failed on the way; check the base URL and the network`,
    { cause: failure, retryable: true, details: { attempts } },
  )
}

function isRedirect({ status }: Response): boolean {
  return status >= 301 && status <= 308 && status !== 304
}

function redirected(response: Response): ConnectionError {
  void discard(response)
  return new ConnectionError(
    'TRANSPORT_FAILED',
    `expected no redirect, as redirect: 'error' asks, but the inference gateway answered ${response.status}; check the base URL`,
    { details: { statusCode: response.status } },
  )
}

// Read when asked for, as most callers never do; one getter for all responses keeps them of one shape.
const QUOTA: PropertyDescriptor & ThisType<Response> = {
  configurable: true,
  get() {
    return inferenceQuota(this.headers)
  },
}

function withQuota(response: Response): InferenceResponse {
  return Object.defineProperty(response, 'quota', QUOTA) as InferenceResponse
}
