// The options of a dispatcher: their shapes, and making plain data of them for the core, which holds every default and
// every check. It refuses here only what plain data cannot say: functions, symbols, NaN, cycles.

import { ConfigError } from '../base/errors.js'
import { invalid } from '../base/options.js'
import type { JobType } from '../webhook/notification.js'

/** When failed attempts are repeated: wait n is `min(initialWaitMs × 2^(n-1), maxWaitMs)`. */
export interface DispatcherRetryOptions {
  /** Attempts after the first, 0 to 100. Default: 3. */
  maxRetries?: number | undefined
  /** The first wait in milliseconds. Default: 1000. */
  initialWaitMs?: number | undefined
  /** The longest wait in milliseconds; an endpoint's `Retry-After` may be longer. Default: 10000. */
  maxWaitMs?: number | undefined
  /** No attempt at an endpoint starts later than this after the first one there, in milliseconds. Default: 60000. */
  budgetMs?: number | undefined
}

/** One webhook of an agent. */
export interface DispatcherEndpointOptions {
  /** Where to POST: `https:`, or `http:` to a loopback address or with `allowInsecure`. */
  url: string
  /** The secret to sign with, at least 16 bytes (32 or more are safer); `whsec_<base64>` means the decoded bytes. */
  secret?: string | undefined
  /** Instead of `secret`: one to three secrets, newest first; each of them signs. */
  secrets?: string[] | undefined
  /** Extra request headers; none of those that the dispatcher sets itself. Default: none. */
  headers?: Record<string, string> | undefined
  /** How long one attempt may take, in milliseconds. Default: 10000. */
  timeoutMs?: number | undefined
  /** Whether `http:` to other machines is allowed. Default: the dispatcher's `allowInsecure`. */
  allowInsecure?: boolean | undefined
}

/** One agent name: which jobs it takes and where they go. Give `endpoints`, or one `webhookUrl` with its keys beside it. */
export interface DispatcherAgentOptions extends Partial<Omit<DispatcherEndpointOptions, 'url'>> {
  /** LiveKit's agent name; empty = automatic dispatch. Two agents of one name are refused. */
  name: string
  /** Default: true. An agent that is not enabled is checked and left out. */
  enabled?: boolean | undefined
  /** The job types to register for, at least one. */
  jobTypes: JobType[]
  /** The webhooks, in order of preference: the next one is asked when one rejects a job or does not take it. */
  endpoints?: DispatcherEndpointOptions[] | undefined
  /** Instead of `endpoints`: one webhook. */
  webhookUrl?: string | undefined
  /** Default: the dispatcher's `retry`. */
  retry?: DispatcherRetryOptions | undefined
  /** How long an agent has to join, in milliseconds. Default: the dispatcher's. */
  joinTimeoutMs?: number | undefined
  /** How long a job may take, in milliseconds. Default: the dispatcher's. */
  maxDurationMs?: number | undefined
  /** The agent's identity, with `{job_id}` and, if wanted, `{agent_name}`. Default: the dispatcher's. */
  participantIdentity?: string | undefined
  /** The agent's display name. Default: `name`. */
  participantName?: string | undefined
  /** The agent's participant metadata. Default: empty. */
  participantMetadata?: string | undefined
  /** The agent's participant attributes; `lk.agent.name` is set by the dispatcher. Default: none. */
  participantAttributes?: Record<string, string> | undefined
}

/** The options of `createDispatcher`: the keys of roomhook.yaml in camelCase, durations in milliseconds. */
export interface DispatcherOptions {
  /** The LiveKit server. */
  livekit: {
    /** `wss:` or `https:`, or `ws:` or `http:` to a loopback address or with `allowInsecure`. */
    url: string
    /** API key. */
    apiKey: string
    /** API secret. */
    apiSecret: string
    /** The URL that agents join. Default: what LiveKit says, else `url`. */
    publicUrl?: string | undefined
  }
  /** Address and port of the status endpoint; port 0 takes a free one. Default: `127.0.0.1:7890`. */
  listen?: string | undefined
  /** How agents reach the status endpoint. Default: `http://` and the address, which must then be a loopback one. */
  publicStatusUrl?: string | undefined
  /** The SQLite file for jobs, or `:memory:`, which forgets them with the process. Default: `roomhook.db`. */
  store?: string | undefined
  /** Who is called. */
  agents: DispatcherAgentOptions[]
  /** How many jobs may be open at a time; more are left to other workers. Default: 1000. */
  maxJobs?: number | undefined
  /** When failed attempts are repeated, unless an agent says otherwise. */
  retry?: DispatcherRetryOptions | undefined
  /**
   * How long an endpoint that took a job has until its agent reports `JS_RUNNING` or is in the room; then the next endpoint
   * is asked. In milliseconds. Default: 30000.
   */
  joinTimeoutMs?: number | undefined
  /** How long a job may take, from LiveKit's offer on, in milliseconds. Default: no limit. */
  maxDurationMs?: number | undefined
  /** The agents' identity, with `{job_id}` in it. Default: `agent-{job_id}`. */
  participantIdentity?: string | undefined
  /** Whether plain text to other machines is allowed. Default: false. */
  allowInsecure?: boolean | undefined
  /** How long `start` waits for LiveKit, in milliseconds. Default: 10000. */
  startTimeoutMs?: number | undefined
  /** How long `drain` waits for deliveries, in milliseconds. Default: 30000. */
  drainTimeoutMs?: number | undefined
}

const MAX_DEPTH = 16

function plain(value: unknown, path: string, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value instanceof URL) return value.href
  if (depth === MAX_DEPTH) {
    throw new ConfigError('CONFIG_INVALID', `${path} is nested too deeply, or contains itself`, { details: { path } })
  }
  if (Array.isArray(value)) return value.map((item, index) => plain(item, `${path}[${index}]`, depth + 1))
  if (typeof value !== 'object') throw invalid(path, 'plain data', value)
  const entries = Object.entries(value as object).filter(([, entry]) => entry !== undefined)
  return Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry, `${path}.${key}`, depth + 1)]))
}

/** The options as the core reads them. */
export function optionsText(options: unknown): string {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw invalid('options', 'an object', options)
  }
  return JSON.stringify(plain(options, 'options', 0))
}
