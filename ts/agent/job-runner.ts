// Runs one accepted job: the entry function under supervision, the room it joins, the timers. The native machine
// decides what happens when; this file tells it what happened and does what it says, in its order.

import { checkSignal, within } from '../base/abort.js'
import { ClosedError, JobError, RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import { checkFunction, invalid } from '../base/options.js'
import { handOut } from '../base/promises.js'
import type { RoomOptions } from '../room/options.js'
import type { RemoteParticipant } from '../room/participant.js'
import { Room } from '../room/room.js'
import type { JobInfo } from '../webhook/notification.js'
import {
  Job,
  type JobControls,
  type JobEndReason,
  type JobResult,
  type JobStatus,
  type JoinedRoom,
  runInJob,
  type ShutdownFunction,
} from './job.js'
import type { AcceptOptions } from './job-request.js'
import { type WaitForParticipantOptions, waitForParticipant } from './participants.js'

/** One thing to do, as the native machine says it. */
export type Step =
  | { do: 'warn'; what: string }
  | { do: 'abort'; reason: JobEndReason; because: string }
  | { do: 'windDown' }
  | { do: 'report'; status: string }
  | { do: 'leave' }
  | { do: 'finished'; outcome: JobResult }

/** What to do now, and when to come back. */
export interface Steps {
  steps: Step[]
  wakeInMs?: number
}

/** What happened, as the native machine takes it. */
export type Input =
  | 'connected'
  | 'entryResolved'
  | 'complete'
  | 'woundDown'
  | 'tick'
  | { connectFailed: { reason: string } }
  | { entryThrew: { reason: string; becauseEnding: boolean } }
  | { fail: { reason: string } }
  | { roomDisconnected: number }
  | { closing: { withinMs: number } }

/** What a runner needs from its agent. */
export interface RunnerHost {
  input(input: Input): Steps
  report(): Promise<void>
  failed(error: unknown, job: Job): void
  ended(job: Job, result: JobResult): void
}

/** How to join. */
export interface Ticket {
  url: string
  token: string
  canUpdateOwnMetadata: boolean
  profile: AcceptOptions
}

/** How long leaving waits for the last report: LiveKit takes an agent that leaves before its status for a failed one. */
const LEAVE_AFTER_MS = 2_000
/** Longer waits than this are taken in several steps, because a timer wraps at 2^31 ms. */
const LONGEST_TIMER_MS = 2 ** 30

/** Supervises one job. */
export class JobRunner implements JobControls {
  readonly job: Job
  /** Resolves when the job is over, its last report is through or given up, and its room is left. Never rejects. */
  readonly done: Promise<void>
  readonly room = new Room()
  readonly #host: RunnerHost
  readonly #ticket: Ticket
  readonly #abort = new AbortController()
  readonly #shutdown: ShutdownFunction[] = []
  readonly #queue: Step[] = []
  #performing = false
  #status: JobStatus = 'pending'
  #endReason: JobEndReason | undefined
  #connecting = false
  #timer: NodeJS.Timeout | undefined
  #reporting: Promise<unknown> = Promise.resolve()
  #leaving: Promise<unknown> = Promise.resolve()
  #resolveDone: () => void = () => {}

  constructor(info: JobInfo, ticket: Ticket, host: RunnerHost) {
    this.#host = host
    this.#ticket = ticket
    this.job = new Job(info, this)
    this.room.belongsTo((error) => this.failed(error))
    this.room.on('disconnected', (reason) => this.send({ roomDisconnected: reason }))
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve
    })
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get status(): JobStatus {
    return this.#status
  }

  get endReason(): JobEndReason | undefined {
    return this.#endReason
  }

  /** Runs the entry function to its end. */
  async run(entry: (job: Job) => unknown): Promise<void> {
    try {
      // A job that was terminated while it was being decided never starts.
      this.signal.throwIfAborted()
      await runInJob(this.job, () => entry(this.job))
      this.send('entryResolved')
    } catch (error) {
      const becauseEnding = this.#becauseEnding(error)
      this.send({ entryThrew: { reason: describe(error), becauseEnding } })
      if (!becauseEnding) this.failed(error)
    }
  }

  /** Something of the user's failed: the agent hears of it. */
  failed(error: unknown): void {
    this.#host.failed(error, this.job)
  }

  /** Ends the job because the agent closes. */
  close(withinMs: number): void {
    this.send({ closing: { withinMs } })
  }

  connect(options?: RoomOptions): Promise<JoinedRoom> {
    return handOut(this.#connect(options), (error) => this.#unseen(error))
  }

  waitForParticipant(options?: WaitForParticipantOptions): Promise<RemoteParticipant> {
    const { identity } = this.job.info.participant ?? {}
    const waiting = waitForParticipant(this.room, options, { identity, signal: this.signal })
    return handOut(waiting, (error) => this.#unseen(error))
  }

  async #connect(options?: RoomOptions): Promise<JoinedRoom> {
    if (options !== undefined && (typeof options !== 'object' || options === null)) {
      throw invalid('options', 'an object', options)
    }
    const given = checkSignal(options?.signal, 'options.signal')
    if (this.signal.aborted) {
      throw new JobError('JOB_STATE_CONFLICT', 'the job is ending: its room cannot be joined any more')
    }
    const { room } = this
    if (this.#connecting || room.isConnected) {
      throw new JobError('JOB_STATE_CONFLICT', 'the job has joined its room already: it is job.room')
    }
    const signal = given === undefined ? this.signal : AbortSignal.any([this.signal, given])
    this.#connecting = true
    try {
      await room.connect(this.#ticket.url, this.#ticket.token, { ...options, signal })
    } catch (error) {
      this.send({ connectFailed: { reason: describe(error) } })
      throw error
    } finally {
      this.#connecting = false
    }
    this.send('connected')
    await this.#applyProfile(room as JoinedRoom)
    this.signal.throwIfAborted()
    return room as JoinedRoom
  }

  complete(): void {
    this.send('complete')
  }

  fail(reason: unknown): void {
    if (typeof reason !== 'string' && !(reason instanceof Error))
      throw invalid('reason', 'a string or an Error', reason)
    this.send({ fail: { reason: describe(reason) } })
  }

  onShutdown(run: ShutdownFunction): void {
    checkFunction(run, 'run')
    if (this.signal.aborted) void this.#shutDown(run)
    else this.#shutdown.push(run)
  }

  /** Tells the machine what happened and does what follows. */
  send(input: Input): void {
    this.perform(this.#host.input(input))
  }

  /** Does what the machine says. What that causes in turn is done after it, in order. */
  perform({ steps, wakeInMs }: Steps): void {
    this.#queue.push(...steps)
    this.#wakeIn(wakeInMs)
    if (this.#performing) return
    this.#performing = true
    try {
      for (let step = this.#queue.shift(); step !== undefined; step = this.#queue.shift()) this.#step(step)
    } finally {
      this.#performing = false
    }
  }

  #step(step: Step): void {
    switch (step.do) {
      case 'warn':
        log.warn(step.what, { jobId: this.job.id })
        return
      case 'abort': {
        this.#endReason = step.reason
        const details = { reason: step.reason }
        this.#abort.abort(new ClosedError('ABORTED', `the job is ending: ${step.because}`, { details }))
        return
      }
      case 'windDown':
        this.#windDown()
        return
      case 'report':
        if (step.status === 'JS_RUNNING') this.#running()
        this.#reporting = Promise.allSettled([this.#reporting, this.#host.report()])
        return
      case 'leave':
        this.#leaving = this.#leave()
        return
      case 'finished':
        this.#finish(step.outcome)
    }
  }

  #running(): void {
    this.#status = 'running'
    // A macrotask later, as all events: `connect` gives the room to entry before a listener can end the job.
    setImmediate(() => this.job.announce('running'))
  }

  #finish(result: JobResult): void {
    this.#status = result.status
    clearTimeout(this.#timer)
    const ended = (): void => {
      this.job.announce('ended', result)
      this.#host.ended(this.job, result)
      this.#resolveDone()
    }
    void Promise.allSettled([this.#reporting, this.#leaving]).then(() => setImmediate(ended))
  }

  #wakeIn(wakeInMs: number | undefined): void {
    clearTimeout(this.#timer)
    if (wakeInMs === undefined) return
    this.#timer = setTimeout(() => this.send('tick'), Math.min(wakeInMs, LONGEST_TIMER_MS))
  }

  #windDown(): void {
    const running = this.#shutdown.splice(0).map((run) => this.#shutDown(run))
    if (running.length === 0) this.send('woundDown')
    else void Promise.all(running).then(() => this.send('woundDown'))
  }

  async #shutDown(run: ShutdownFunction): Promise<void> {
    try {
      await runInJob(this.job, () => run(this.#endReason ?? 'ended'))
    } catch (error) {
      this.failed(error)
    }
  }

  async #leave(): Promise<void> {
    await within(LEAVE_AFTER_MS, this.#reporting)
    try {
      await this.room.disconnect()
    } catch (error) {
      this.failed(error)
    }
  }

  /** What `accept()` gave. It failing is no reason not to be in the room. */
  async #applyProfile({ localParticipant }: JoinedRoom): Promise<void> {
    const { canUpdateOwnMetadata, profile } = this.#ticket
    const { name, metadata, attributes } = profile
    if (name === undefined && metadata === undefined && attributes === undefined) return
    if (!canUpdateOwnMetadata) {
      log.warn(
        'accept() gave a name, metadata or attributes, but the token does not allow to set them (canUpdateOwnMetadata)',
        { jobId: this.job.id },
      )
      return
    }
    try {
      if (name) await localParticipant.updateName(name)
      if (metadata) await localParticipant.updateMetadata(metadata)
      if (attributes !== undefined) await localParticipant.setAttributes(attributes)
    } catch (error) {
      this.#unseen(error)
    }
  }

  /** A failure that entry has not seen and will not see. */
  #unseen(error: unknown): void {
    if (!this.#becauseEnding(error)) this.failed(error)
  }

  /** Whether an error only says that the job was ending anyway. */
  #becauseEnding(error: unknown): boolean {
    if (!this.signal.aborted) return false
    if (error === this.signal.reason) return true
    if (!(error instanceof Error)) return false
    if (error.name === 'AbortError' || error.cause === this.signal.reason) return true
    return RoomhookError.isInstance(error) && (error.code === 'CLOSED' || error.code === 'ROOM_DISCONNECTED')
  }
}

/** The reason of a failure in words; the native core takes tokens out of it. */
export function describe(error: unknown): string {
  if (RoomhookError.isInstance(error)) return `${error.code}: ${error.message}`
  if (error instanceof Error) return `${error.name}: ${error.message}`
  return typeof error === 'string' ? error : 'a value that is not an Error was thrown'
}
