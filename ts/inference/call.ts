// One request to the gateway, prepared: where it goes, what may be sent again, and the headers of each attempt. It
// refuses to dress a request that does not go to the gateway's origin.

import { randomUUID } from 'node:crypto'
import { native } from '../base/native.js'
import { checkOptions, invalid } from '../base/options.js'
import { asksForStream, withoutStrayArguments } from './body.js'
import type { GatewayAccess } from './gateway.js'
import {
  type HeaderEntry,
  type HeaderInput,
  type HeaderRules,
  headerEntries,
  join,
  mergeHeaders,
  type OnDrop,
} from './headers.js'
import {
  checkMetadata,
  type InferenceJob,
  type InferencePriority,
  type InferenceRoom,
  jobOf,
  type MetadataOptions,
  ownValues,
  userAgent,
} from './metadata.js'
import { HeaderTurn } from './turn.js'

/** What one call chooses, above what its transport was made with. */
export interface InferenceCallOptions {
  /** The job the call belongs to. Default: the transport's, else the one whose `entry` is running. `null`: none. */
  job?: InferenceJob | null | undefined
  /** Whose hooks' headers are sent. Default: the transport's, else those of the turns that the call is made in. */
  turn?: HeaderTurn | undefined
  /** Sent as `X-LiveKit-Inference-Provider`. */
  provider?: string | undefined
  /** Sent as `X-LiveKit-Inference-Priority`. */
  priority?: InferencePriority | undefined
  /** Sends a fresh `X-LiveKit-Session-ID` with each attempt when there is a job. Default: false. */
  sessionId?: boolean | undefined
  /** The live room, if it is not the job's own. */
  room?: InferenceRoom | undefined
}

/** The names of `InferenceCallOptions`, for the check of an options object that includes them. */
export const CALL_KEYS = ['job', 'turn', 'provider', 'priority', 'sessionId', 'room'] as const

/** Checked choices. */
export interface Choices extends MetadataOptions {
  job?: InferenceJob | null | undefined
  turn?: HeaderTurn | undefined
}

/** Checks the choices that are part of an options object. */
export function checkChoices(given: Partial<InferenceCallOptions>, path: string): Choices {
  const choices: Choices = checkMetadata(given, path)
  if (given.job !== undefined) {
    jobOf(given.job, `${path}.job`)
    choices.job = given.job
  }
  if (given.turn !== undefined) {
    if (!(given.turn instanceof HeaderTurn)) throw invalid(`${path}.turn`, 'a turn of createHeaderHooks()', given.turn)
    choices.turn = given.turn
  }
  return choices
}

/** What a transport's calls have in common. */
export interface Pipeline {
  gateway: GatewayAccess
  choices: Choices
  /** Whether headers of hooks are sent. */
  hooks: boolean
  rules: HeaderRules
  onDrop: OnDrop
}

/** The rules of a transport to a gateway. */
export function rulesFor(caller: 'request' | 'upgrade', gateway: GatewayAccess): HeaderRules {
  return native.headerRules({ caller, userAgent: userAgent(), provider: 'livekit', baseUrl: gateway.baseURL })
}

/**
 * The headers of one attempt, built anew each time: token, session id and the agent's sid may have changed. `call`: the
 * caller's entries, joined.
 */
export function attemptHeaders(
  { hooks, rules, onDrop }: Pipeline,
  choices: Choices,
  call: string,
  token: string,
): Record<string, string> {
  const job = jobOf(choices.job, 'job')
  const turn = hooks ? HeaderTurn.of(choices.turn) : undefined
  const own = ownValues(job, choices, `Bearer ${token}`)
  return mergeHeaders({ rules, turn, own, call, session: job !== undefined && choices.sessionId === true }, onDrop)
}

/** What `fetch` takes, and the choices of the call. */
export interface InferenceRequestInit extends RequestInit {
  /** Choices of this call. */
  inference?: InferenceCallOptions | undefined
}

/** A prepared HTTP call. */
export interface PreparedCall {
  input: string | URL | Request
  init: InferenceRequestInit | undefined
  /** The body in place of the one in `init`, where it had to be cleaned or read. */
  body: string | Uint8Array | undefined
  /** The caller's entries, joined. */
  headers: string
  choices: Choices
  signal: AbortSignal | undefined
  /** Whether the body can be sent a second time. */
  replayable: boolean
  /** Whether a request that may have been taken can be made again without doing its work twice. */
  repeatable: boolean
  /** Whether the answer may begin only when it is complete. */
  answersWhole: boolean
  /** Whether a redirect is an error to the caller. */
  refusesRedirects: boolean
}

/**
 * The body of a `Request`, if that is what will be sent: a request gives it once, so it is read whole and can be cleaned
 * and sent again like any other. A stream that is to go out as it comes is given as `init.body`.
 */
export function bodyOf(input: unknown, init: InferenceRequestInit | undefined): Promise<Uint8Array> | undefined {
  if (!(input instanceof Request) || input.body === null || init?.body != null) return undefined
  return input.arrayBuffer().then((bytes) => new Uint8Array(bytes))
}

/** Prepares a call to the gateway. `read` is the body of the request that `input` is. */
export function prepareCall(
  pipeline: Pipeline,
  input: string | URL | Request,
  init: InferenceRequestInit | undefined,
  read: Uint8Array | undefined,
  idempotent: boolean,
): PreparedCall {
  const request = input instanceof Request ? input : undefined
  const { choices, onDrop } = pipeline
  const body: unknown = read ?? init?.body
  const clean = withoutStrayArguments(body, onDrop)
  const own = (init?.headers as HeaderInput | undefined) ?? request?.headers
  const headers = headerEntries(own, 'init.headers', onDrop)
  if (clean !== undefined) headers.unshift(...clean.headers)
  const method = (init?.method ?? request?.method ?? 'GET').toUpperCase()
  if (idempotent && createsSession(input, method) && !hasKey(headers)) headers.push([KEY, randomUUID()])
  const repeatable = method !== 'POST' && method !== 'PATCH' ? true : hasKey(headers)
  return {
    input,
    init,
    body: clean?.body ?? read,
    headers: join(headers),
    choices: init?.inference === undefined ? choices : callChoices(choices, init.inference),
    signal: init?.signal ?? request?.signal ?? undefined,
    replayable: isReplayable(body),
    repeatable,
    answersWhole: !repeatable && !asksForStream(body),
    refusesRedirects: (init?.redirect ?? request?.redirect) === 'error',
  }
}

/** What `fetch` is given for one attempt. */
export function attemptInit({ init, body }: PreparedCall, headers: Record<string, string>): RequestInit {
  const { inference: _, ...rest } = init ?? {}
  // Following a redirect would take the token along to another server; the caller gets the redirect itself.
  return Object.assign(rest, { headers, redirect: 'manual' as const }, body === undefined ? undefined : { body })
}

function callChoices(base: Choices, given: InferenceCallOptions): Choices {
  return { ...base, ...checkChoices(checkOptions(given, 'init.inference', CALL_KEYS), 'init.inference') }
}

/** Where a call goes, in full; `undefined` when that is not the gateway. */
export function destination(baseURL: string, input: string | URL | Request): string | URL | Request | undefined {
  if (typeof input === 'string') {
    if (input.startsWith(`${baseURL}/`)) return input
    if (!URL.canParse(input)) return `${baseURL}/${input.replace(/^\/+/, '')}`
    return sameOrigin(input, baseURL) ? input : undefined
  }
  if (input instanceof URL) return sameOrigin(input.href, baseURL) ? input : undefined
  if (input instanceof Request) return sameOrigin(input.url, baseURL) ? input : undefined
  throw invalid('input', 'a string, a URL or a Request', input)
}

function sameOrigin(url: string, baseURL: string): boolean {
  return new URL(url).origin === new URL(baseURL).origin
}

const KEY = 'Idempotency-Key'

// Only the creation of an avatar session is not idempotent by itself.
function createsSession(input: string | URL | Request, method: string): boolean {
  const { pathname } = new URL(input instanceof Request ? input.url : input)
  return method === 'POST' && /\/avatar\/sessions\/?$/.test(pathname)
}

function hasKey(headers: readonly HeaderEntry[]): boolean {
  return headers.some(([name, value]) => name.toLowerCase() === KEY.toLowerCase() && value != null)
}

function isReplayable(body: unknown): boolean {
  if (body === undefined || body === null || typeof body === 'string') return true
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return true
  return body instanceof URLSearchParams || body instanceof FormData || body instanceof Blob
}
