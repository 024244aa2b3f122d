// A job as the entry function holds it, and which job the running code belongs to. It decides nothing: what its methods
// do is up to the runner behind it.

import { AsyncLocalStorage } from 'node:async_hooks'
import { TypedEmitter } from '../base/events.js'
import { type InferenceHeadersOptions, inferenceHeaders, setCurrentJobLookup } from '../inference/metadata.js'
import type { LocalParticipant } from '../room/local-participant.js'
import type { RoomOptions } from '../room/options.js'
import type { Room } from '../room/room.js'
import type { JobInfo, JobParticipant, JobRoom, JobType } from './job-info.js'

/** How a job fares. The last two are final. */
export type JobStatus = 'pending' | 'running' | 'success' | 'failed'

/** The one result of a job, as it is reported. */
export type JobResult =
  | { readonly status: 'JS_SUCCESS' }
  | {
      readonly status: 'JS_FAILED'
      /** Why; at most 1 KiB, without tokens. */
      readonly error: string
    }

/** Why a job's signal was aborted: `signal.reason.details.reason`. */
export type JobAbortReason = 'ended' | 'disconnected' | 'terminated' | 'closing' | 'timedOut'

/** The events of a `Job`. */
export interface JobEventMap {
  /** The agent is in the room. */
  running: []
  /** The job is over; its room is left. */
  ended: [result: JobResult]
  /** A listener failed. */
  error: [error: unknown]
}

/** A room that is joined. */
export type JoinedRoom = Room & { localParticipant: LocalParticipant }

/** What runs before the room is left. */
export type ShutdownFunction = (reason: JobAbortReason) => void | Promise<void>

/** What a job can do; the runner does it. */
export interface JobControls {
  readonly signal: AbortSignal
  readonly liveRoom: Room | undefined
  status(): JobStatus
  connect(options?: RoomOptions): Promise<JoinedRoom>
  complete(): void
  fail(reason: unknown): void
  onShutdown(run: ShutdownFunction): void
}

const context = new AsyncLocalStorage<Job>()

/**
 * A job that was accepted, as the entry function holds it. When the function returns, the job is a success; when it
 * throws, a failure.
 */
export class Job extends TypedEmitter<JobEventMap> implements JobInfo {
  /** `AJ_…`. */
  readonly id: string
  /** The agent dispatch it belongs to, `AD_…`; empty if the sender did not say. */
  readonly dispatchId: string
  /** What the job is for. */
  readonly type: JobType
  /** The agent name it was dispatched to; empty if the sender did not say. */
  readonly agentName: string
  /** The room, as it was when the job was created. */
  readonly room: JobRoom
  /** The participant the job is for; undefined for `JT_ROOM`. */
  declare readonly participant?: JobParticipant
  /** The dispatch's metadata, opaque; empty if none. */
  readonly metadata: string
  /** The dispatch's attributes. */
  readonly attributes: Readonly<Record<string, string>>
  readonly #controls: JobControls

  /** @internal */
  constructor(info: JobInfo, controls: JobControls) {
    super()
    this.id = info.id
    this.dispatchId = info.dispatchId
    this.type = info.type
    this.agentName = info.agentName
    this.room = info.room
    if (info.participant !== undefined) this.participant = info.participant
    this.metadata = info.metadata
    this.attributes = info.attributes
    this.#controls = controls
  }

  /**
   * Aborted once the job is ending: its room is gone, it was terminated, the agent closes, its time is over, or it has
   * its result. The reason is a `ClosedError` with code `ABORTED` and `details.reason`, a `JobAbortReason`.
   */
  get signal(): AbortSignal {
    return this.#controls.signal
  }

  /** How the job fares. */
  get status(): JobStatus {
    return this.#controls.status()
  }

  /**
   * Joins the job's room with the job's token. `JS_RUNNING` is reported once it is connected. It can be tried again
   * after it failed. The job's signal gives it up.
   *
   * @throws {JobError} `JOB_STATE_CONFLICT` if the job is ending or its room is joined already.
   * @throws {ConnectionError} `ROOM_CONNECT_FAILED`, `ENGINE_UNAVAILABLE`.
   * @throws {ClosedError} `ABORTED` if the job ends, or the given signal aborts, meanwhile.
   */
  connect(options?: RoomOptions): Promise<JoinedRoom> {
    return this.#controls.connect(options)
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

  /** @internal The room it joined, connected or not any more. */
  get liveRoom(): Room | undefined {
    return this.#controls.liveRoom
  }

  /** @internal */
  announce<K extends keyof JobEventMap>(event: K, ...args: JobEventMap[K]): void {
    this.deliver(event, ...args)
  }
}

/**
 * The job that the running code belongs to: inside an entry function and everything it awaits or starts.
 *
 * @internal
 */
export function currentJob(): Job | undefined {
  return context.getStore()
}

setCurrentJobLookup(currentJob)

/** @internal */
export function runInJob<T>(job: Job, run: () => T): T {
  return context.run(job, run)
}
