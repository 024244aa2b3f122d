// The receiving agent without HTTP: header lines and bytes go in, an answer comes out, and accepted jobs run under
// supervision. Admission, the first answer and each job's course are decided in the native core.

import { within, withSignal } from '../base/abort.js'
import { TypedEmitter } from '../base/events.js'
import { LoggedError, log } from '../base/log.js'
import { awaitNative, callNative, native } from '../base/native.js'
import { handOut } from '../base/promises.js'
import { preloadEngine } from '../room/engine.js'
import { type JobNotification, type JobOffer, jobInfo } from '../webhook/notification.js'
import { type AgentSecrets, completeSecrets, warnOfWeakSecrets } from '../webhook/secrets.js'
import { Gate } from './gate.js'
import { Job, type JobResult } from './job.js'
import { ask, type Decision } from './job-request.js'
import { JobRunner, type Steps } from './job-runner.js'
import { type AgentOptions, type CompleteOptions, checkClose, checkDrain, completeOptions } from './options.js'

/** The events of an `Agent`. */
export interface AgentEventMap {
  /** A job was accepted; its entry function is about to run. */
  job: [job: Job]
  /** A job is over: its result is reported, its room is left. */
  jobEnded: [job: Job, result: JobResult]
  /**
   * Something of yours failed: `request`, `entry`, a shutdown function, or a listener of the agent, of a job or of a job's
   * room that has no `error` listener of its own. Logged instead when nobody listens: name, redacted message and stack.
   */
  error: [error: unknown, job?: Job]
}

/** What a request is answered. The body is always JSON. */
export interface Answer {
  status: number
  body: string
  retryAfterS?: number
  /** Why the request was refused before it was verified, for the log. */
  why?: string
}

type Received =
  | { is: 'answered'; answer: Answer; code?: string; why?: string }
  | { is: 'undecided'; ticket: number }
  | NewJob
  | { is: 'terminated'; answer: Answer; jobs: [ticket: number, steps: Steps][] }

interface NewJob {
  is: 'new'
  ticket: number
  canUpdateOwnMetadata: boolean
  webhook: JobNotification | JobOffer
}

type Delivery =
  | { is: 'nothing' | 'delivered' }
  | { is: 'unsupported'; first: boolean; status: number }
  | { is: 'gaveUp'; reason: string }

interface Deciding {
  answer: Promise<Answer>
  settle: (decision: Decision) => void
}

export const INTERNAL_ERROR: Answer = { status: 500, body: '{"accepted":false,"error":"Internal server error"}' }
/** The same refusal is logged once in this time; how many were left out is logged with the next one. */
const REFUSAL_LOG_MS = 10_000

/** Everything an agent is, whichever way requests reach it. */
export class Receiver extends TypedEmitter<AgentEventMap> implements AsyncDisposable {
  /** @internal */
  readonly maxBodyBytes: number
  /** @internal */
  readonly bodyTimeoutMs: number
  /** @internal */
  readonly gate: Gate
  readonly #options: CompleteOptions
  readonly #native: native.NativeAgent
  readonly #deciding = new Map<number, Deciding>()
  readonly #runners = new Map<number, JobRunner>()
  readonly #refusals = new Map<string | number, { at: number; leftOut: number }>()
  #taking = true
  #drained: Promise<void> | undefined
  #closed: Promise<void> | undefined

  /** @internal */
  constructor(options: AgentOptions) {
    super()
    this.#options = completeOptions(options)
    this.maxBodyBytes = this.#options.maxBodyBytes
    this.bodyTimeoutMs = this.#options.bodyTimeoutMs
    this.gate = new Gate(this.#options.maxReadingBodies, this.#options.rateLimit)
    this.#native = callNative(() => new native.NativeAgent(this.#options.native))
    this.#warnOfWeakSecrets()
  }

  /** The jobs that run now. */
  get jobs(): Job[] {
    return [...this.#runners.values()].map((runner) => runner.job)
  }

  /**
   * Replaces the secrets at once, for a rotation without a restart.
   *
   * @throws {ConfigError} `CONFIG_INVALID`; the old ones then stay.
   */
  setSecrets(secrets: AgentSecrets): void {
    const complete = completeSecrets(secrets)
    callNative(() => this.#native.setSecrets(complete))
    this.#warnOfWeakSecrets()
  }

  /**
   * Takes no more jobs, lets those that run end by themselves, and closes. New jobs are answered 503, so that the
   * dispatcher asks again and meets a successor; keep the HTTP server open until it resolves. Repeating it gives the first
   * one's promise.
   *
   * @param options.timeoutMs Jobs that still run after so many milliseconds are ended, as `close()` does. Default: never.
   * @param options.signal Ends them when it aborts. Default: none.
   * @throws {ClosedError} `ABORTED` by the signal, once it is closed.
   */
  drain(options?: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined }): Promise<void> {
    const { timeoutMs, signal } = checkDrain(options)
    this.#drained ??= handOut(this.#drain(timeoutMs, signal))
    return this.#drained
  }

  /**
   * Takes no more jobs and ends those that run: their signals are aborted, their shutdown functions run, their rooms
   * are left, their results are reported. Repeating it gives the first one's promise.
   *
   * A result that nobody takes is tried again until shortly before the end of the time: a dispatcher may be starting
   * anew. So closing takes all of it while the status URL cannot be reached, and a warning names the job.
   *
   * @param options.timeoutMs After so many milliseconds it resolves whatever is left. Default: 10000.
   */
  close(options?: { timeoutMs?: number | undefined }): Promise<void> {
    const timeoutMs = checkClose(options)
    this.#closed ??= handOut(this.#close(timeoutMs))
    return this.#closed
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Takes one request: the header lines that matter as name, value, name, value …, the bytes of the body, and who sends
   * it.
   *
   * @internal
   */
  async receive(lines: string[], body: Uint8Array, address?: string): Promise<Answer> {
    const received = JSON.parse(callNative(() => this.#native.receive(lines, body))) as Received
    if (received.is !== 'answered' || received.answer.status !== 401) this.gate.giveBack(address)
    switch (received.is) {
      case 'answered':
        if (received.code !== undefined) this.logRefusal(received.code, received.why)
        return received.answer
      case 'undecided':
        return (await this.#deciding.get(received.ticket)?.answer) ?? INTERNAL_ERROR
      case 'new':
        return await this.#decide(received)
      case 'terminated':
        for (const [ticket, steps] of received.jobs) this.#runners.get(ticket)?.perform(steps)
        return received.answer
    }
  }

  async #decide(job: NewJob): Promise<Answer> {
    // The media library loads while the job is being decided and answered.
    preloadEngine()
    const { decision, settle } = this.#ask(job.webhook)
    const answer = decision.then((decided) => this.#answer(job, decided))
    this.#deciding.set(job.ticket, { answer, settle })
    try {
      return await answer
    } finally {
      this.#deciding.delete(job.ticket)
    }
  }

  #ask(webhook: JobNotification | JobOffer): { decision: Promise<Decision>; settle: (decision: Decision) => void } {
    const { request, decisionTimeoutMs } = this.#options
    if (!this.#taking) return { decision: Promise.resolve({ is: 'closing' }), settle: () => {} }
    if (request === undefined) return { decision: Promise.resolve({ is: 'accepted' }), settle: () => {} }
    const timeoutMs = Math.min(decisionTimeoutMs, webhook.deadlineMs ?? decisionTimeoutMs)
    const about = { identity: webhook.participantIdentity, offer: webhook.event === 'offer', timeoutMs }
    return ask(request, jobInfo(webhook), about, (error) => this.#fail(error))
  }

  #answer(job: NewJob, given: Decision): Answer {
    const decision: Decision = this.#taking ? given : { is: 'closing' }
    const decided = callNative(() => this.#native.decide(job.ticket, JSON.stringify(decision)))
    const { answer, steps } = JSON.parse(decided) as { answer: Answer; steps: Steps }
    // Whoever listens for errors was told; the log says why the sender got a 500 all the same.
    if (answer.status === 500 && this.listenerCount('error') > 0) this.logRefusal('HOOK_FAILED', 'request failed')
    if (decision.is === 'accepted' && job.webhook.event === 'job') {
      this.#start(job, job.webhook, decision, steps)
    }
    return answer
  }

  #start(job: NewJob, webhook: JobNotification, profile: Decision & { is: 'accepted' }, steps: Steps): void {
    const { ticket, canUpdateOwnMetadata } = job
    const { serverUrl: url, accessToken: token } = webhook
    const runner = new JobRunner(
      jobInfo(webhook),
      { url, token, canUpdateOwnMetadata, profile },
      {
        input: (input) => JSON.parse(callNative(() => this.#native.input(ticket, JSON.stringify(input)))) as Steps,
        report: () => this.#report(ticket, webhook.jobId),
        failed: (error, failed) => this.#fail(error, failed),
        ended: (ended, result) => {
          this.#runners.delete(ticket)
          this.deliver('jobEnded', ended, result)
        },
      },
    )
    this.#runners.set(ticket, runner)
    runner.perform(steps)
    // The answer goes out first.
    setImmediate(() => {
      this.deliver('job', runner.job)
      void runner.run(this.#options.entry)
    })
  }

  async #report(ticket: number, jobId: string): Promise<void> {
    const delivery = JSON.parse(await awaitNative(() => this.#native.report(ticket))) as Delivery
    if (delivery.is === 'unsupported' && delivery.first) {
      log.warn('nobody takes job status at the status URL; jobs run on, their status is not reported there', {
        status: delivery.status,
      })
    }
    if (delivery.is === 'gaveUp') log.warn('a job status did not get through', { jobId, reason: delivery.reason })
  }

  protected override listenerFailed(error: unknown, event: string | symbol, args: readonly unknown[]): void {
    if (event === 'error') super.listenerFailed(error, event, args)
    else
      this.#fail(
        error,
        args.find((arg) => arg instanceof Job),
      )
  }

  /** What something of the user's threw: to whoever listens, else to the log, without the job's tokens. */
  #fail(error: unknown, job?: Job): void {
    if (this.listenerCount('error') > 0) {
      if (job === undefined) this.deliver('error', error)
      else this.deliver('error', error, job)
      return
    }
    const [ticket] = [...this.#runners].find(([, runner]) => runner.job === job) ?? [0]
    const redact = (text: string): string => callNative(() => this.#native.redact(ticket, text))
    log.error('a function of the agent failed', {
      ...(job === undefined ? {} : { jobId: job.id }),
      error: LoggedError.of(error, redact),
    })
  }

  /**
   * Logs a refusal under its code, or under the status of one that came before any code.
   *
   * @internal
   */
  logRefusal(code: string | number, why: string | undefined): void {
    const now = Date.now()
    const last = this.#refusals.get(code)
    if (last !== undefined && now - last.at < REFUSAL_LOG_MS) {
      last.leftOut += 1
      return
    }
    this.#refusals.set(code, { at: now, leftOut: 0 })
    const which = typeof code === 'number' ? { status: code } : { code }
    log.warn('a webhook was refused', { ...which, why, leftOut: last?.leftOut ?? 0 })
  }

  #warnOfWeakSecrets(): void {
    warnOfWeakSecrets(this.#native.weakSecrets())
  }

  async #drain(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    this.#stopTaking()
    const ends = this.#ends()
    try {
      await withSignal(
        signal,
        () => (timeoutMs === undefined ? ends : within(timeoutMs, ends)),
        () => {},
      )
    } finally {
      await this.close()
    }
  }

  async #close(timeoutMs: number): Promise<void> {
    // The last part is for reports, and the last of that for leaving the rooms of those that do not get through.
    const withinMs = Math.floor(Math.max(timeoutMs - 2_000, timeoutMs / 2))
    const reportMs = Math.floor(Math.max(timeoutMs - 500, timeoutMs * 0.75))
    const abandon = setTimeout(() => this.#native.abandonReports(), reportMs)
    this.#stopTaking()
    await null // What it aborts may call `close` again, and gets this promise.
    for (const runner of this.#runners.values()) runner.close(withinMs)
    await within(timeoutMs, this.#ends())
    clearTimeout(abandon)
    this.#native.abandonReports()
  }

  #stopTaking(): void {
    this.#taking = false
    for (const deciding of this.#deciding.values()) deciding.settle({ is: 'closing' })
  }

  async #ends(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.done))
  }
}
