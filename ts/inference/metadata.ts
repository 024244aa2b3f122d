// Who is calling: what the SDK says of a request, read from the job, the state of its room, and typed options, each time
// anew. It never fails and never touches the local participant of a room that is not connected. What becomes a header of
// it is the core's decision.

import { ConfigError } from '../base/errors.js'
import { native } from '../base/native.js'
import { checkBoolean, checkOptions, invalid } from '../base/options.js'
import {
  clean,
  type HeaderInput,
  type HeaderRules,
  headerEntries,
  join,
  mergeHeaders,
  type OnDrop,
  warnDropped,
} from './headers.js'

/** What the builder reads of a room: roomhook's own `Room`, or any object of that shape. */
export interface InferenceRoom {
  /** True in every state from connected until disconnected, reconnecting included. */
  readonly isConnected: boolean
  /** Read only while connected. */
  readonly localParticipant?: { readonly sid?: string | undefined } | undefined
}

/** What the builder reads of a job: roomhook's own `Job`, or any object of that shape. */
export interface InferenceJob {
  /** `AJ_…` */
  readonly id: string
  /** What the job says about itself, known before connect: the sid of its room. */
  readonly info?: { readonly room?: { readonly sid?: string | undefined } | undefined } | undefined
  /** The room that the job joins; or its description, of a job without `info`. */
  readonly room?: InferenceRoom | { readonly sid?: string | undefined } | undefined
  /** The room that the job joined, if it is not `room`. */
  readonly liveRoom?: InferenceRoom | undefined
}

/** How urgently the gateway serves a request. */
export type InferencePriority = 'priority' | 'standard' | 'low'

/** Options of `inferenceHeaders`. */
export interface InferenceHeadersOptions {
  /** Headers of this call. They may replace `User-Agent`; names that the SDK owns are dropped with a warning. */
  headers?: HeaderInput | undefined
  /** Sent as `X-LiveKit-Inference-Provider`. */
  provider?: string | undefined
  /** Sent as `X-LiveKit-Inference-Priority`. */
  priority?: InferencePriority | undefined
  /** Adds a fresh `X-LiveKit-Session-ID` (`inference_` and 12 hex digits) when there is a job. Default: false. */
  sessionId?: boolean | undefined
  /** The live room, if it is not the job's own. */
  room?: InferenceRoom | undefined
}

const PRIORITIES: readonly string[] = native.inferencePriorities()

let lookup: () => InferenceJob | undefined = () => undefined

/** Tells this module how to find the job of the running async context. Called once, by the module that keeps it. */
export function setCurrentJobLookup(current: () => InferenceJob | undefined): void {
  lookup = current
}

/**
 * The job a call belongs to: the one given, none if `null` is given, else the one of the running async context.
 * @throws ConfigError `CONFIG_INVALID` for anything else.
 */
export function jobOf(job: InferenceJob | null | undefined, path: string): InferenceJob | undefined {
  if (job === null) return undefined
  if (job === undefined) return lookup()
  if (typeof job !== 'object') throw invalid(path, 'a job', job)
  return job
}

let agent: string | undefined

/** The SDK's `User-Agent`. */
export function userAgent(): string {
  agent ??= native.inferenceUserAgent(`node ${process.version}`)
  return agent
}

/** The typed choices that become headers. */
export interface MetadataOptions {
  provider?: string | undefined
  priority?: InferencePriority | undefined
  sessionId?: boolean | undefined
  room?: InferenceRoom | undefined
}

/**
 * The values of the SDK's own headers as the core takes them: in the order of its list, joined with NUL, empty where
 * there is none.
 */
export function ownValues(
  job: InferenceJob | undefined,
  { room, provider, priority }: MetadataOptions,
  authorization: string,
): string {
  const ids =
    job === undefined
      ? '\0\0\0\0'
      : `${text(roomSid(job))}\0${text(jobId(job))}\0${text(agentId(job, room))}\0${text(process.env.LIVEKIT_WORKER_TOKEN)}\0`
  return `${ids}\0${text(provider)}\0${text(priority)}\0${authorization}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? clean(value) : ''
}

// Each is read on its own, so that a property that throws costs its own header only. This runs with every request, and
// three small functions are cheaper than one that takes closures.
function roomSid(job: InferenceJob): unknown {
  try {
    const { info, room } = job
    return info === undefined ? (room as { sid?: unknown } | undefined)?.sid : info.room?.sid
  } catch {
    return undefined
  }
}

function jobId(job: InferenceJob): unknown {
  try {
    return job.id
  } catch {
    return undefined
  }
}

// The state decides, never the value: before connect the sid may be a placeholder, and it changes on a full reconnect.
function agentId(job: InferenceJob, given: InferenceRoom | undefined): unknown {
  try {
    const room = (given ?? job.liveRoom ?? job.room) as InferenceRoom | undefined
    return room?.isConnected === true ? room.localParticipant?.sid : undefined
  } catch {
    return undefined
  }
}

/** Checks a priority at the boundary. */
export function checkPriority(value: unknown, path: string): InferencePriority {
  if (typeof value === 'string' && PRIORITIES.includes(value)) return value as InferencePriority
  throw invalid(path, `one of ${PRIORITIES.join(', ')}`, value)
}

/** Checks a provider name at the boundary: it becomes a header value, so a malformed one is refused, not dropped. */
export function checkProvider(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(path, 'a non-empty string', value)
  if (native.isInferenceProvider(value)) return value
  throw new ConfigError('CONFIG_INVALID', `${path} must be 1 to 256 characters of visible ASCII`, { details: { path } })
}

/** Checks a room given by the caller. */
export function checkRoom(value: unknown, path: string): InferenceRoom {
  if (value === null || typeof value !== 'object') throw invalid(path, 'a room', value)
  return value as InferenceRoom
}

/** The choices of one call over those of the object it is made through. */
export function checkMetadata(
  options: {
    provider?: unknown
    priority?: unknown
    sessionId?: unknown
    room?: unknown
  },
  path: string,
): MetadataOptions {
  const checked: MetadataOptions = {}
  if (options.provider !== undefined) checked.provider = checkProvider(options.provider, `${path}.provider`)
  if (options.priority !== undefined) checked.priority = checkPriority(options.priority, `${path}.priority`)
  if (options.sessionId !== undefined) checked.sessionId = checkBoolean(options.sessionId, `${path}.sessionId`)
  if (options.room !== undefined) checked.room = checkRoom(options.room, `${path}.room`)
  return checked
}

let rules: HeaderRules | undefined
const reportDropped: OnDrop = warnDropped({ by: 'inferenceHeaders' })

/**
 * The headers that attribute a request to a room, a job and the running agent, as a plain record for any `fetch`.
 *
 * `User-Agent` always; with a job `X-LiveKit-Room-Id`, `X-LiveKit-Job-Id`, `X-LiveKit-Agent-Id` (the local
 * participant's sid, only while the room is connected) and `X-LiveKit-Worker-Token` (from the environment of hosted
 * agents; a credential: give it to LiveKit's gateway only). Read anew at every call, because the sid changes on a full
 * reconnect. It never throws for what a job or room contains; a value that cannot be a header is left out.
 *
 * @param job The job; default: the one whose `entry` is running. `null`: none, even inside an `entry`.
 * @throws ConfigError `CONFIG_INVALID` for a wrong option.
 */
export function inferenceHeaders(job?: InferenceJob | null, options?: InferenceHeadersOptions): Record<string, string> {
  const given = checkOptions(options, 'options', ['headers', 'provider', 'priority', 'sessionId', 'room'])
  const metadata = checkMetadata(given, 'options')
  const call = join(headerEntries(given.headers, 'options.headers', reportDropped))
  const caller = jobOf(job, 'job')
  rules ??= native.headerRules({ caller: 'request', userAgent: userAgent() })
  const session = caller !== undefined && metadata.sessionId === true
  return mergeHeaders({ rules, own: ownValues(caller, metadata, ''), call, session }, reportDropped)
}
