// `inferenceSocket`: opens a socket of the gateway with the same headers, tokens and retries as its HTTP requests. An
// attempt that is refused, times out or closes before it opened rejects, and leaves no connection behind.

import { checkSignal, withSignal } from '../base/abort.js'
import { ConfigError, ConnectionError, type RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import { callNative, native } from '../base/native.js'
import { checkInteger, checkOptions, checkStrings, invalid } from '../base/options.js'
import { handOut } from '../base/promises.js'
import { attemptHeaders, CALL_KEYS, checkChoices, type InferenceCallOptions, type Pipeline, rulesFor } from './call.js'
import { faultError, isQuota, readFault, reportQuota } from './fault.js'
import { GATEWAY_KEYS, GatewayAccess, type GatewayOptions } from './gateway.js'
import { type HeaderInput, headerEntries, join, warnDropped } from './headers.js'
import { inferenceQuota } from './quota.js'
import { checkRetry, type InferenceRetryOptions, pause, type RetryPolicy, retryWait } from './retry.js'
import { InferenceSocket, type SocketOpened } from './socket.js'

/** Options of `inferenceSocket`. */
export interface InferenceSocketOptions extends GatewayOptions, Omit<InferenceCallOptions, 'turn'> {
  /** Which of the gateway's sockets. */
  service: 'stt' | 'tts' | 'eot' | 'bargein'
  /** The query, e.g. `{ model: 'deepgram/nova-3' }`. */
  query?: Readonly<Record<string, string>>
  /** Further headers of the upgrade request. */
  headers?: HeaderInput
  /** How long connecting, TLS and the upgrade may take together, in milliseconds. Default: 10000. */
  connectTimeoutMs?: number
  /** How long one message may take to leave before the connection counts as broken. Default: 10000. */
  writeTimeoutMs?: number
  /** How long `close()` waits for the gateway's goodbye. Default: 2000. */
  closeTimeoutMs?: number
  /** How long nothing may arrive before a ping is sent. Default: 10000. */
  pingIntervalMs?: number
  /** How long nothing may arrive after that ping before the gateway counts as gone. Default: 5000. */
  pongTimeoutMs?: number
  /** The largest message taken. Default: 4194304. */
  maxMessageBytes?: number
  /** How many messages wait to be sent at most. Default: 256. */
  sendQueue?: number
  /** How many bytes of messages wait to be sent at most, and how large one may be. Default: 4194304. */
  sendQueueBytes?: number
  /** How many received messages wait to be read before the gateway is made to wait. Default: 256. */
  receiveQueue?: number
  /** How often and when a failed attempt is made again; `false`: never. */
  retry?: InferenceRetryOptions | false
  /** Abandons the attempt to open. */
  signal?: AbortSignal
}

const LIMITS = {
  connectTimeoutMs: [10_000, 3_600_000],
  writeTimeoutMs: [10_000, 3_600_000],
  closeTimeoutMs: [2_000, 3_600_000],
  pingIntervalMs: [10_000, 3_600_000],
  pongTimeoutMs: [5_000, 3_600_000],
  maxMessageBytes: [4 << 20, 64 << 20],
  sendQueue: [256, 65_536],
  sendQueueBytes: [4 << 20, 64 << 20],
  receiveQueue: [256, 65_536],
} as const

type LimitName = keyof typeof LIMITS
const LIMIT_NAMES = Object.keys(LIMITS) as LimitName[]
const SERVICES: readonly unknown[] = ['stt', 'tts', 'eot', 'bargein']

interface Plan {
  pipeline: Pipeline
  url: string
  /** The caller's entries, joined. */
  headers: string
  limits: Record<LimitName, number>
  retry: RetryPolicy
  signal: AbortSignal | undefined
}

/**
 * Opens a socket of LiveKit's inference gateway.
 *
 * @throws ConfigError `CONFIG_INVALID` for a wrong option or missing keys. ConnectionError `TIMED_OUT` when it was not
 * open in time, `TRANSPORT_FAILED` with `details.statusCode` when the gateway refused the upgrade (408, 429, 499 and 5xx
 * are retryable, but for a quota that waiting does not bring back; `details` has what it said: `type`, `code`,
 * `category`, `hint`, `message`, `retryAfterMs`, `quota`, `requestId`) or without when it closed or failed before it opened
 * (retryable). ClosedError `ABORTED`.
 */
export function inferenceSocket(options: InferenceSocketOptions): Promise<InferenceSocket> {
  return handOut(openSocket(options))
}

async function openSocket(options: InferenceSocketOptions): Promise<InferenceSocket> {
  const plan = checkPlan(options)
  const { pipeline, retry, signal } = plan
  let token = pipeline.gateway.token()
  let refreshed = false
  for (let attempt = 1; ; ) {
    const { socket, error: outcome, retryAfter } = await open(plan, token)
    if (socket !== undefined) return socket
    const status = outcome.details?.statusCode as number | undefined
    if (status === 401 && !refreshed) {
      refreshed = true
      token = pipeline.gateway.tokenAfter(token)
      continue
    }
    const wait = outcome.retryable ? retryWait(retry, attempt, status, retryAfter) : undefined
    if (wait === undefined) throw outcome
    log.info('an inference socket did not open and is tried again', {
      attempt,
      waitMs: wait,
      ...(status === undefined ? {} : { status }),
    })
    await withSignal(
      signal,
      () => pause(wait, signal),
      () => undefined,
    )
    token = pipeline.gateway.token()
    attempt += 1
  }
}

function checkPlan(options: InferenceSocketOptions): Plan {
  const given = checkOptions(options, 'options', [
    ...GATEWAY_KEYS,
    ...CALL_KEYS.filter((key) => key !== 'turn'),
    ...LIMIT_NAMES,
    'service',
    'query',
    'headers',
    'retry',
    'signal',
  ])
  const { service, query } = given
  if (!SERVICES.includes(service)) throw invalid('options.service', "'stt', 'tts', 'eot' or 'bargein'", service)
  const onDrop = warnDropped({ by: 'inferenceSocket' })
  const gateway = new GatewayAccess(given, 'options')
  const limits = Object.fromEntries(
    LIMIT_NAMES.map((name) => {
      const [initial, max] = LIMITS[name]
      return [name, checkInteger(given[name] ?? initial, `options.${name}`, 1, max)]
    }),
  ) as Record<LimitName, number>
  return {
    pipeline: {
      gateway,
      choices: checkChoices(given, 'options'),
      hooks: false,
      rules: rulesFor('upgrade', gateway),
      onDrop,
    },
    url: gateway.socketURL(
      service as string,
      Object.entries(query === undefined ? {} : checkStrings(query, 'options.query')),
    ),
    headers: join(headerEntries(given.headers, 'options.headers', onDrop)),
    limits,
    retry: checkRetry(given.retry, 'options.retry'),
    signal: checkSignal(given.signal, 'options.signal'),
  }
}

/** What became of one attempt. */
type Outcome =
  | { socket: InferenceSocket; error?: undefined; retryAfter?: undefined }
  | { socket?: undefined; error: RoomhookError; retryAfter: string | undefined }

async function open(plan: Plan, token: string): Promise<Outcome> {
  const { pipeline, url, limits, signal } = plan
  const sent = attemptHeaders(pipeline, pipeline.choices, plan.headers, token)
  const handle = callNative(() => new native.InferenceSocketHandle({ url, headers: Object.entries(sent), ...limits }))
  let opening: ReturnType<typeof InferenceSocket.open> | undefined
  const opened = await withSignal(
    signal,
    () => {
      opening = InferenceSocket.open(handle, limits.sendQueueBytes)
      return opening
    },
    () => {
      handle.cancel()
      // It may have opened in the same moment: then nobody else would close it.
      opening?.then((late) => (late instanceof InferenceSocket ? late.close() : undefined)).catch(() => {})
    },
  )
  if (opened instanceof InferenceSocket) return { socket: opened }
  const headers = new Headers(opened.headers as [string, string][])
  return { error: errorOf(opened, headers, limits), retryAfter: headers.get('retry-after') ?? undefined }
}

function errorOf(
  { kind, status, retryable, message, retryAfterMs, body }: SocketOpened,
  headers: Headers,
  { connectTimeoutMs }: Plan['limits'],
): RoomhookError {
  if (kind === 'timeout') {
    const expected = `expected the inference gateway to open the socket within ${connectTimeoutMs} ms`
    return new ConnectionError('TIMED_OUT', expected, { retryable, details: { timeoutMs: connectTimeoutMs } })
  }
  if (kind === 'refused') {
    const fault = readFault(status, body)
    const quota = inferenceQuota(headers)
    if (isQuota(fault)) reportQuota(fault, quota)
    const expected = `expected the inference gateway to open the socket, but it answered HTTP ${status}`
    const advice = fault.retryable ? 'try again later' : 'details say why, where it said so'
    const requestId = headers.get('x-request-id')
    return faultError('TRANSPORT_FAILED', [expected, advice], fault, { requestId, retryAfterMs, quota })
  }
  if (!retryable) return new ConfigError('CONFIG_INVALID', `the socket cannot be opened: ${message}`)
  return new ConnectionError('TRANSPORT_FAILED', `the inference gateway did not open the socket: ${message}`, {
    retryable,
  })
}
