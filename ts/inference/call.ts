// One request to the gateway, prepared: where it goes, what may be sent again, and the headers of each attempt. It
// refuses to dress a request that does not go to the gateway's origin.

import { randomUUID } from 'node:crypto'
import { checkOptions, invalid, kindOf } from '../base/options.js'
import { withoutStrayArguments } from './body.js'
import type { GatewayAccess } from './gateway.js'
import { type HeaderEntry, type HeaderInput, headerEntries, type OnDrop } from './headers.js'
import type { LastMerge } from './last-merge.js'
import {
  checkMetadata,
  type InferenceJob,
  type InferencePriority,
  type InferenceRoom,
  jobOf,
  type MetadataOptions,
  metadataEntries,
  userAgent,
} from './metadata.js'
import { HeaderTurn, turnHeaders } from './turn.js'

/** What one call chooses, above what its transport was made with. */
export interface InferenceCallOptions {
  /** The job the call belongs to. Default: the transport's, else the one whose `entry` is running. `null`: none. */
  job?: InferenceJob | null
  /** Whose hooks' headers are sent. Default: the transport's, else those of the turns that the call is made in. */
  turn?: HeaderTurn
  /** Sent as `X-LiveKit-Inference-Provider`. */
  provider?: string
  /** Sent as `X-LiveKit-Inference-Priority`. */
  priority?: InferencePriority
  /** Sends a fresh `X-LiveKit-Session-ID` with each attempt when there is a job. Default: false. */
  sessionId?: boolean
  /** The live room, if it is not the job's own. */
  room?: InferenceRoom
}

/** The names of `InferenceCallOptions`, for the check of an options object that includes them. */
export const CALL_KEYS = ['job', 'turn', 'provider', 'priority', 'sessionId', 'room'] as const

/** Checked choices. */
export interface Choices extends MetadataOptions {
  job?: InferenceJob | null
  turn?: HeaderTurn
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
  merged: LastMerge
  onDrop: OnDrop
}

/** The headers of one attempt, built anew each time: token, session id and the agent's sid may have changed. */
export function attemptHeaders(
  pipeline: Pipeline,
  choices: Choices,
  call: readonly HeaderEntry[],
  token: string,
  forbidTransport: boolean,
): Record<string, string> {
  const { gateway, hooks, merged, onDrop } = pipeline
  const own = metadataEntries(jobOf(choices.job, 'job'), choices)
  own.push(['Authorization', `Bearer ${token}`])
  const hook = hooks ? turnHeaders({ provider: 'livekit', baseURL: gateway.baseURL }, choices.turn) : undefined
  return merged.merge({ userAgent: userAgent(), hook, call, own, forbidTransport }, onDrop)
}

/** What `fetch` takes, and the choices of the call. */
export interface InferenceRequestInit extends RequestInit {
  /** Choices of this call. */
  inference?: InferenceCallOptions
}

/** A prepared HTTP call. */
export interface PreparedCall {
  input: string | URL | Request
  init: InferenceRequestInit | undefined
  /** The body in place of the one in `init`, where it had to be cleaned. */
  body: string | undefined
  headers: HeaderEntry[]
  choices: Choices
  signal: AbortSignal | undefined
  /** Whether the body can be sent a second time. */
  replayable: boolean
}

/** Prepares a call to the gateway; `undefined` when it goes somewhere else. */
export function prepareCall(
  pipeline: Pipeline,
  given: string | URL | Request,
  init: InferenceRequestInit | undefined,
  idempotent: boolean,
): PreparedCall | undefined {
  const input = destination(pipeline.gateway.baseURL, given)
  if (input === undefined) return undefined
  const request = input instanceof Request ? input : undefined
  const { choices, onDrop } = pipeline
  const clean = withoutStrayArguments(init?.body, onDrop)
  const own = (init?.headers as HeaderInput | undefined) ?? request?.headers
  const headers = headerEntries(own, 'init.headers', onDrop)
  if (clean !== undefined) headers.unshift(...clean.headers)
  if (idempotent && needsIdempotencyKey(input, init?.method ?? request?.method, headers)) {
    headers.push(['Idempotency-Key', randomUUID()])
  }
  return {
    input,
    init,
    body: clean?.body,
    headers,
    choices: init?.inference === undefined ? choices : callChoices(choices, init.inference),
    signal: init?.signal ?? request?.signal ?? undefined,
    replayable: isReplayable(init?.body ?? request?.body),
  }
}

/** What `fetch` is given for one attempt; `extra` is what cuts it. */
export function attemptInit(
  { init, body }: PreparedCall,
  headers: Record<string, string>,
  extra: Readonly<Record<string, unknown>>,
): RequestInit {
  // Following a redirect would take the token along to another server; the caller gets the redirect itself.
  const redirect = init?.redirect === 'error' ? 'error' : 'manual'
  // Not a spread: overwriting a member of a spread object costs V8 ten times as much as assigning it.
  if (body === undefined && init?.inference === undefined) return Object.assign({}, init, { headers, redirect }, extra)
  const { inference: _, ...rest } = init ?? {}
  return Object.assign(rest, { headers, redirect }, body === undefined ? undefined : { body }, extra)
}

function callChoices(base: Choices, given: InferenceCallOptions): Choices {
  return { ...base, ...checkChoices(checkOptions(given, 'init.inference', CALL_KEYS), 'init.inference') }
}

function destination(baseURL: string, input: string | URL | Request): string | URL | Request | undefined {
  if (typeof input === 'string') {
    if (input.startsWith(`${baseURL}/`)) return input
    if (!URL.canParse(input)) return `${baseURL}/${input.replace(/^\/+/, '')}`
    return sameOrigin(input, baseURL) ? input : undefined
  }
  if (input instanceof URL) return sameOrigin(input.href, baseURL) ? input : undefined
  if (input instanceof Request) return sameOrigin(input.url, baseURL) ? input : undefined
  throw invalid('input', 'a string, a URL or a Request', kindOf(input))
}

function sameOrigin(url: string, baseURL: string): boolean {
  return new URL(url).origin === new URL(baseURL).origin
}

// Only the creation of an avatar session is not idempotent by itself.
function needsIdempotencyKey(
  input: string | URL | Request,
  method: string | undefined,
  headers: readonly HeaderEntry[],
): boolean {
  const { pathname } = new URL(input instanceof Request ? input.url : input)
  const creates = method?.toUpperCase() === 'POST' && /\/avatar\/sessions\/?$/.test(pathname)
  return creates && !headers.some(([name, value]) => name.toLowerCase() === 'idempotency-key' && value != null)
}

function isReplayable(body: unknown): boolean {
  if (body === undefined || body === null || typeof body === 'string') return true
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return true
  return body instanceof URLSearchParams || body instanceof FormData || body instanceof Blob
}
