// `inferenceFetch`: any `fetch`, dressed for the gateway: headers and a token for each attempt, one retry layer, one
// fresh token after a 401. Bodies that stream, either way, pass through untouched; a body that cannot be sent twice is
// sent once. It refuses to hand the token to another origin, or to follow a redirect with it.

import { ConfigError, ConnectionError, RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import { checkFunction, checkInteger, checkOptions, invalid, kindOf } from '../base/options.js'
import { handOut } from '../base/promises.js'
import {
  attemptHeaders,
  attemptInit,
  CALL_KEYS,
  checkChoices,
  type InferenceCallOptions,
  type InferenceRequestInit,
  type Pipeline,
  type PreparedCall,
  prepareCall,
} from './call.js'
import { limit } from './deadline.js'
import { isQuota, peekFault, reportQuota } from './fault.js'
import { GATEWAY_KEYS, GatewayAccess, type GatewayOptions } from './gateway.js'
import { warnDroppedOnce } from './headers.js'
import { LastMerge } from './last-merge.js'
import { type InferenceQuota, inferenceQuota } from './quota.js'
import { checkRetry, type InferenceRetryOptions, pause, type RetryPolicy, retryWait } from './retry.js'

/** Options of `inferenceFetch`. */
export interface InferenceFetchOptions extends GatewayOptions, InferenceCallOptions {
  /** The `fetch` to send with. Default: the global one, looked up at each call. */
  fetch?: typeof fetch
  /**
   * What the requests are for. `llm` (chat, embeddings, anything to a model): headers of hooks are sent. `avatar`: they
   * are not, and a `POST …/avatar/sessions` carries an `Idempotency-Key` that stays the same over its retries.
   * Default: `llm`.
   */
  service?: 'llm' | 'avatar'
  /** How often and when a failed request is made again; `false`: never, and failures pass unchanged. */
  retry?: InferenceRetryOptions | false
  /** How long one attempt may take until the response's headers, 1 to 3600000 ms. Default: 10000. */
  timeoutMs?: number
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
  timeoutMs: number
}

/**
 * Makes a `fetch` for LiveKit's inference gateway. It sends the attribution headers of the running job, the headers of
 * the running turn's hooks, and a token; it tries 408, 429, 499, 5xx and connection failures again, honours
 * `Retry-After`, and replaces a refused token once. The last response is returned whatever its status. Requests to
 * another origin than the base URL's are passed on as they are.
 *
 * @throws ConfigError `CONFIG_INVALID` for a wrong option or missing keys. The returned function rejects with
 * ConnectionError `TIMED_OUT` or `TRANSPORT_FAILED` (retryable, the network's error as `cause`) when no attempt was
 * answered, and with the signal's reason when it was aborted.
 */
export function inferenceFetch(options?: InferenceFetchOptions): InferenceFetch {
  const given = checkOptions(options, 'options', [
    ...GATEWAY_KEYS,
    ...CALL_KEYS,
    'fetch',
    'service',
    'retry',
    'timeoutMs',
  ])
  const service = given.service ?? 'llm'
  if (service !== 'llm' && service !== 'avatar') throw invalid('options.service', "'llm' or 'avatar'", service)
  const transport: Transport = {
    gateway: new GatewayAccess(given, 'options'),
    choices: checkChoices(given, 'options'),
    hooks: service === 'llm',
    merged: new LastMerge(),
    onDrop: warnDroppedOnce({ by: 'inferenceFetch' }),
    fetch: given.fetch === undefined ? undefined : checkFunction<typeof fetch>(given.fetch, 'options.fetch'),
    idempotent: service === 'avatar',
    retry: checkRetry(given.retry, 'options.retry'),
    retries: given.retry !== false,
    timeoutMs: checkInteger(given.timeoutMs ?? 10_000, 'options.timeoutMs', 1, 3_600_000),
  }
  return (input, init) => handOut(call(transport, input, init))
}

async function call(
  transport: Transport,
  input: string | URL | Request,
  init: InferenceRequestInit | undefined,
): Promise<InferenceResponse> {
  const prepared = prepareCall(transport, input, init, transport.idempotent)
  if (prepared === undefined) return withQuota(await (transport.fetch ?? globalThis.fetch)(input, init))
  let token = transport.gateway.token()
  let refreshed = false
  for (let attempt = 1; ; ) {
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
    const wait = final ? undefined : waitAfter(transport, prepared, attempt, outcome)
    if (wait === undefined) return finish(transport, prepared, outcome, attempt)
    if (!('failure' in outcome)) await discard(outcome)
    await pause(wait, prepared.signal)
    token = transport.gateway.token()
    attempt += 1
  }
}

/** An attempt that no server answered. */
interface Failed {
  failure: unknown
}

type Outcome = Response | Failed

function waitAfter(
  { retry }: Transport,
  { replayable, signal }: PreparedCall,
  attempt: number,
  outcome: Outcome,
): number | undefined {
  const failed = 'failure' in outcome
  if (failed ? !isNetworkFailure(outcome.failure) : outcome.ok) return undefined
  if (!replayable || signal?.aborted === true) return undefined
  const status = failed ? undefined : outcome.status
  const wait = retryWait(retry, attempt, status, failed ? undefined : (outcome.headers.get('retry-after') ?? undefined))
  if (wait !== undefined) {
    log.info('an inference request failed and is made again', { attempt, waitMs: wait, ...(failed ? {} : { status }) })
  }
  return wait
}

/** A mistake in the arguments is a `TypeError` too, but only a failure on the way has a cause. */
function isNetworkFailure(failure: unknown): boolean {
  if (RoomhookError.isInstance(failure)) return failure.retryable
  return failure instanceof Error && failure.name !== 'AbortError' && !(failure instanceof TypeError && !failure.cause)
}

function finish(
  { retries }: Transport,
  { signal }: PreparedCall,
  outcome: Outcome,
  attempts: number,
): InferenceResponse {
  if (!('failure' in outcome)) return withQuota(outcome)
  const { failure } = outcome
  const ours = RoomhookError.isInstance(failure) || signal?.aborted === true || !isNetworkFailure(failure)
  if (ours || !retries) throw failure
  throw new ConnectionError(
    'TRANSPORT_FAILED',
    `expected an answer of the inference gateway, but all ${attempts} attempts failed on the way; check the base URL and the network`,
    { cause: failure, retryable: true, details: { attempts } },
  )
}

/** One attempt. Resolves also when it failed: the caller decides what that means. */
function send(transport: Transport, prepared: PreparedCall, token: string): Promise<Outcome> {
  const { input, headers, choices, signal } = prepared
  const { fetch: given, timeoutMs } = transport
  const { extra, cut } = limit(given, prepared.init, signal, timeoutMs)
  const init = attemptInit(prepared, attemptHeaders(transport, choices, headers, token, false), extra)
  return new Promise((resolve) => {
    let late = false
    const timer = setTimeout(() => {
      late = true
      const failure = timedOut(timeoutMs)
      cut(failure)
      resolve({ failure })
    }, timeoutMs)
    const answered = (response: unknown): void => {
      clearTimeout(timer)
      if (!isResponse(response)) resolve({ failure: notAResponse(response) })
      else if (late) void discard(response)
      else resolve(response)
    }
    const failed = (failure: unknown): void => {
      clearTimeout(timer)
      resolve({ failure })
    }
    try {
      Promise.resolve((given ?? globalThis.fetch)(input, init)).then(answered, failed)
    } catch (failure) {
      failed(failure)
    }
  })
}

function timedOut(timeoutMs: number): ConnectionError {
  return new ConnectionError('TIMED_OUT', `expected an answer of the inference gateway within ${timeoutMs} ms`, {
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

/** Gives a response's connection back. */
async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined)
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
