// A job as the entry function holds it, and which job the running code belongs to. It decides nothing: what its methods
// do is up to the runner behind it.

import { AsyncLocalStorage } from 'node:async_hooks'
import { TypedEmitter } from '../base/events.js'
import { type InferenceHeadersOptions, inferenceHeaders, setCurrentJobLookup } from '../inference/metadata.js'
import type { LocalParticipant } from '../room/local-participant.js'
import type { RoomOptions } from '../room/options.js'
import type { RemoteParticipant } from '../room/participant.js'
import type { Room } from '../room/room.js'
import type { JobInfo, JobType } from '../webhook/notification.js'
import type { WaitForParticipantOptions } from './participants.js'

/** How a job fares. The last two are final. */
export type JobStatus = 'pending' | 'running' | 'success' | 'failed'

/** The one result of a job: reported as `JS_SUCCESS` or `JS_FAILED`. */
export type JobResult =
  | { readonly status: 'success' }
  | {
      readonly status: 'failed'
      /** Why; at most 1 KiB, without tokens. */
      readonly error: string
    }

/** Why a job is ending, the first reason: `job.endReason`, and `signal.reason.details.reason`. */
export type JobEndReason = 'ended' | 'disconnected' | 'terminated' | 'closing' | 'timedOut'

/** The events of a `Job`. */
export interface JobEventMap {
  /** The agent is in the room. */
  running: []
  /** The job is over; its room is left. */
  ended: [result: JobResult]
  /** A listener failed. Without a listener the agent's `error` event tells it. */
  error: [error: unknown]
}

/** A room that is joined. */
export type JoinedRoom = Room & { localParticipant: LocalParticipant }

/** What runs before the room is left. */
export type ShutdownFunction = (reason: JobEndReason) => void | Promise<void>

/** What a job can do; the runner does it. */
export interface JobControls {
  readonly signal: AbortSignal
  readonly room: Room
  readonly status: JobStatus
  readonly endReason: JobEndReason | undefined
  connect(options?: RoomOptions): Promise<JoinedRoom>
  waitForParticipant(options?: WaitForParticipantOptions): Promise<RemoteParticipant>
  complete(): void
  fail(reason: unknown): void
  onShutdown(run: ShutdownFunction): void
  failed(error: unknown): void
}

const context = new AsyncLocalStorage<Job>()

/**
 * A job that was accepted, as the entry function holds it. When the function returns, the job is a success; when it
 * throws, a failure.
 */
export class Job extends TypedEmitter<JobEventMap> {
  /** What the job is about: its room and participant as the webhook described them, its dispatch, its agent name. */
  readonly info: JobInfo
  readonly #controls: JobControls

  /** @internal */
  constructor(info: JobInfo, controls: JobControls) {
    super()
    this.info = info
    this.#controls = controls
    this.belongsTo((error) => controls.failed(error))
  }

  /** `AJ_…`. */
  get id(): string {
    return this.info.id
  }

  /** What the job is for. */
  get type(): JobType {
    return this.info.type
  }

  /** The dispatch's metadata, opaque; empty if none. */
  get metadata(): string {
    return this.info.metadata
  }

  /** The dispatch's attributes. */
  get attributes(): Readonly<Record<string, string>> {
    return this.info.attributes
  }

  /** The job's room. Attach its listeners first, then join it with `connect()`: nothing is missed. */
  get room(): Room {
    return this.#controls.room
  }

  /**
   * Aborted once the job is ending: its room is gone, it was terminated, the agent closes, its time is over, or it has
   * its result. The reason is a `ClosedError` with code `ABORTED` and `details.reason`, a `JobEndReason`.
   */
  get signal(): AbortSignal {
    return this.#controls.signal
  }

  /** How the job fares. */
  get status(): JobStatus {
    return this.#controls.status
  }

  /** Why the job is ending; undefined as long as it is not. */
  get endReason(): JobEndReason | undefined {
    return this.#controls.endReason
  }

  /**
   * Joins the job's room with the job's token; what `accept()` gave as name, metadata and attributes is set when it
   * resolves, to `job.room`. `JS_RUNNING` is reported once it is connected. It can be tried again after it failed. The
   * job's signal gives it up.
   *
   * @throws {JobError} `JOB_STATE_CONFLICT` if the job is ending or its room is joined already.
   * @throws {ConnectionError} `ROOM_CONNECT_FAILED`, `ENGINE_UNAVAILABLE`.
   * @throws {ClosedError} `ABORTED` if the job ends, or the given signal aborts, meanwhile.
   */
  connect(options?: RoomOptions): Promise<JoinedRoom> {
    return this.#controls.connect(options)
  }

  /**
   * A participant of the room: who is there already, else the next who joins. It can be called before `connect()`.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for a wrong option.
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room is left meanwhile.
   * @throws {ClosedError} `ABORTED` if the job ends, or the given signal aborts, meanwhile.
   */
  waitForParticipant(options?: WaitForParticipantOptions): Promise<RemoteParticipant> {
    return this.#controls.waitForParticipant(options)
  }

  /**
   * Ends the job as a success while the entry function still runs: the shutdown functions run, `JS_SUCCESS` is
   * reported, the room is left.
   *
   * @throws {JobError} `JOB_STATE_CONFLICT` if the job has failed.
   */
  complete(): void {
    this.#controls.complete()
  }

  /**
   * Ends the job as a failure while the entry function still runs.
   *
   * @param reason Reported as the error: a text or an `Error`; tokens are taken out, and it is cut at 1 KiB.
   * @throws {JobError} `JOB_STATE_CONFLICT` if the job has succeeded.
   */
  fail(reason: string | Error): void {
    this.#controls.fail(reason)
  }

  /**
   * Adds what is to happen when the job is ending, before its result is reported and the room is left: a goodbye, a
   * summary. All of them run at once and have the agent's `shutdownTimeoutMs`. Added later, it runs at once.
   */
  onShutdown(run: ShutdownFunction): this {
    this.#controls.onShutdown(run)
    return this
  }

  /**
   * The headers that attribute a model request to this job: its room, its id, and the running agent while it is in the
   * room. As {@link inferenceHeaders}, with this job.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for a wrong option.
   */
  inferenceHeaders(options?: InferenceHeadersOptions): Record<string, string> {
    return inferenceHeaders(this, options)
  }

  /** @internal */
  announce<K extends keyof JobEventMap>(event: K, ...args: JobEventMap[K]): void {
    this.deliver(event, ...args)
  }
}

/** The job that the running code belongs to: inside an entry function and everything it awaits or starts. */
export function currentJob(): Job | undefined {
  return context.getStore()
}

setCurrentJobLookup(currentJob)

/** @internal */
export function runInJob<T>(job: Job, run: () => T): T {
  return context.run(job, run)
}
