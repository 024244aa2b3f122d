// The options of an agent: what they mean, what they are when left out, and what is refused.

import { checkSignal } from '../base/abort.js'
import type { native } from '../base/native.js'
import { checkBoolean, checkFunction, checkInteger, checkOptions, checkText, invalid } from '../base/options.js'
import { type AgentSecrets, completeSecrets } from '../webhook/secrets.js'
import { DEFAULT_MAX_BODY_BYTES } from '../webhook/webhook.js'
import type { RateLimit } from './gate.js'
import type { Job } from './job.js'
import type { JobRequest } from './job-request.js'

/** How an agent is made. */
export interface AgentOptions {
  /** The secrets of the webhook endpoint. `undefined`, as of an environment variable that is not set, is refused. */
  secrets: AgentSecrets | undefined
  /** Runs for each accepted job. When it returns, the job is a success; when it throws, a failure. */
  entry: (job: Job) => unknown
  /** Decides about each job with `request.accept()` or `request.reject()`. Default: every job is accepted. */
  request?: ((request: JobRequest) => unknown) | undefined
  /** The agent's name. A webhook for another name is refused. Default: any name is served. */
  name?: string | undefined
  /** Jobs at a time, 1 to 1000000; another one is answered `accepted: false`, "at capacity". Default: 100. */
  maxJobs?: number | undefined
  /** How long `request` may take, in milliseconds, 1 to 600000, and never longer than the sender waits. Default: 5000. */
  decisionTimeoutMs?: number | undefined
  /** How long a job may take, in milliseconds, from 1; a longer one fails. Default: no limit. */
  jobTimeoutMs?: number | undefined
  /**
   * How long `entry` and the shutdown functions may take once the job is ending, in milliseconds, from 0. Then the
   * result is reported without them. Default: 30000.
   */
  shutdownTimeoutMs?: number | undefined
  /** Which headers carry the signature: LiveKit's, or those of Standard Webhooks. Default: `livekit`. */
  scheme?: 'livekit' | 'standard' | undefined
  /** How far the signed timestamp may be off, in seconds, 1 to 86400, both ways. Default: 300. */
  clockToleranceS?: number | undefined
  /** Allows `ws:` and `http:` to other machines than this one. Default: false. */
  allowInsecure?: boolean | undefined
  /** The only servers that are joined, by scheme, host and port. Default: any. */
  allowedServerUrls?: readonly string[] | undefined
  /**
   * Where job status goes, whatever the webhook says: `{statusUrl}/api/agents/jobs/{job_id}/status`. Default: the
   * webhook's `status_url`, else its `server_url`.
   */
  statusUrl?: string | undefined
  /** The largest request body, in bytes, 1 to 1073741824. Default: 4194304. */
  maxBodyBytes?: number | undefined
  /**
   * How long a request's body may take to arrive, in milliseconds, 1 to 600000; a slower one is answered 408 and not read
   * further. Default: 10000.
   */
  bodyTimeoutMs?: number | undefined
  /**
   * Request bodies that are read at a time, 1 to 100000; they hold at most so many times `maxBodyBytes`. With one more, the
   * oldest is answered 429 and not read further, one without a signature header first. Default: 100.
   */
  maxReadingBodies?: number | undefined
  /**
   * How often requests may come that turn out not to be signed with a secret; more are answered 429 with `Retry-After` before
   * anything is verified. One address has half of it, where the server tells who sends. Requests without a signature header
   * count apart. Default: 200 a second, 2000 at once.
   */
  rateLimit?: RateLimit | undefined
}

/** The options that stay in TypeScript, complete. */
export interface CompleteOptions {
  entry: (job: Job) => unknown
  request: ((request: JobRequest) => unknown) | undefined
  decisionTimeoutMs: number
  maxBodyBytes: number
  bodyTimeoutMs: number
  maxReadingBodies: number
  rateLimit: { perSecond: number; burst: number }
  native: native.NativeAgentOptions
}

const YEAR_MS = 366 * 24 * 60 * 60 * 1_000

const known = [
  'secrets',
  'entry',
  'request',
  'name',
  'maxJobs',
  'decisionTimeoutMs',
  'jobTimeoutMs',
  'shutdownTimeoutMs',
  'scheme',
  'clockToleranceS',
  'allowInsecure',
  'allowedServerUrls',
  'statusUrl',
  'maxBodyBytes',
  'bodyTimeoutMs',
  'maxReadingBodies',
  'rateLimit',
] as const

/** Checks the options and fills in the defaults. */
export function completeOptions(given: AgentOptions): CompleteOptions {
  if (given === undefined) throw invalid('options', 'an object with secrets and entry', given)
  const options = checkOptions(given, 'options', known)
  const { request, name, jobTimeoutMs, statusUrl, scheme = 'livekit', maxBodyBytes = DEFAULT_MAX_BODY_BYTES } = options
  const { maxJobs = 100, decisionTimeoutMs = 5_000, shutdownTimeoutMs = 30_000, clockToleranceS = 300 } = options
  const { allowInsecure = false, allowedServerUrls = [], bodyTimeoutMs = 10_000, maxReadingBodies = 100 } = options
  if (scheme !== 'livekit' && scheme !== 'standard') throw invalid('options.scheme', "'livekit' or 'standard'", scheme)
  checkBoolean(allowInsecure, 'options.allowInsecure')
  const limited = jobTimeoutMs === undefined ? {} : { jobTimeoutMs: whole(jobTimeoutMs, 'jobTimeoutMs', 1, YEAR_MS) }
  return {
    entry: checkFunction<(job: Job) => unknown>(options.entry, 'options.entry'),
    request:
      request === undefined ? undefined : checkFunction<(request: JobRequest) => unknown>(request, 'options.request'),
    decisionTimeoutMs: whole(decisionTimeoutMs, 'decisionTimeoutMs', 1, 600_000),
    maxBodyBytes: whole(maxBodyBytes, 'maxBodyBytes', 1, 2 ** 30),
    bodyTimeoutMs: whole(bodyTimeoutMs, 'bodyTimeoutMs', 1, 600_000),
    maxReadingBodies: whole(maxReadingBodies, 'maxReadingBodies', 1, 100_000),
    rateLimit: completeRate(options.rateLimit),
    native: {
      secrets: completeSecrets(options.secrets),
      standardScheme: scheme === 'standard',
      ...(name === undefined ? {} : { name: checkText(name, 'options.name') }),
      toleranceS: whole(clockToleranceS, 'clockToleranceS', 1, 86_400),
      maxBodyBytes,
      maxJobs: whole(maxJobs, 'maxJobs', 1, 1_000_000),
      ...limited,
      shutdownTimeoutMs: whole(shutdownTimeoutMs, 'shutdownTimeoutMs', 0, YEAR_MS),
      allowInsecure,
      allowedServerUrls: checkServers(allowedServerUrls),
      ...(statusUrl === undefined ? {} : { statusUrl: checkText(statusUrl, 'options.statusUrl') }),
    },
  }
}

function completeRate(given: RateLimit | undefined): { perSecond: number; burst: number } {
  const { perSecond = 200, burst } = checkOptions(given, 'options.rateLimit', ['perSecond', 'burst'])
  whole(perSecond, 'rateLimit.perSecond', 1, 1_000_000)
  return { perSecond, burst: whole(burst ?? Math.min(perSecond * 10, 1_000_000), 'rateLimit.burst', 1, 1_000_000) }
}

function checkServers(given: unknown): string[] {
  if (!Array.isArray(given)) throw invalid('options.allowedServerUrls', 'an array of URLs', given)
  return given.map((url, index) => checkText(url, `options.allowedServerUrls[${index}]`))
}

function whole(value: unknown, name: string, min: number, max: number): number {
  return checkInteger(value, `options.${name}`, min, max)
}

/** Where the timers of Node wrap. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Checks the options of `close`. */
export function checkClose(options: { timeoutMs?: number | undefined } | undefined): number {
  const { timeoutMs = 10_000 } = checkOptions(options, 'options', ['timeoutMs'])
  return whole(timeoutMs, 'timeoutMs', 0, LONGEST_TIMER_MS)
}

/** Checks the options of `drain`. */
export function checkDrain(options: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined } | undefined): {
  timeoutMs: number | undefined
  signal: AbortSignal | undefined
} {
  const { timeoutMs, signal } = checkOptions(options, 'options', ['timeoutMs', 'signal'])
  return {
    timeoutMs: timeoutMs === undefined ? undefined : whole(timeoutMs, 'timeoutMs', 0, LONGEST_TIMER_MS),
    signal: checkSignal(signal, 'options.signal'),
  }
}
