// What a dispatcher tells the program that runs it. Events carry ids, names from the configuration, numbers and reasons,
// and nothing about people: no identity, no room name, no metadata, no token.

import type { JobType } from '../webhook/notification.js'

/** What every event has. */
export interface DispatcherEvent {
  /** When it happened, in milliseconds since the Unix epoch, with a fraction. */
  at: number
}

/** An event about one job. */
export interface DispatcherJobEvent extends DispatcherEvent {
  /** `AJ_…` */
  jobId: string
}

/** An event about one job and one endpoint. */
export interface DispatcherEndpointEvent extends DispatcherJobEvent {
  /** The endpoint's URL without its query. */
  endpoint: string
}

/** The events of a dispatcher and what their listeners get. */
export interface DispatcherEventMap {
  /** A worker socket is registered with LiveKit. */
  registered: [
    event: DispatcherEvent & { agentName: string; jobType: JobType; workerId: string; serverVersion: string },
  ]
  /** A worker socket lost LiveKit; without `retryInMs` for good. */
  disconnected: [event: DispatcherEvent & { agentName: string; jobType: JobType; reason: string; retryInMs?: number }]
  /**
   * LiveKit offered a job at `at`, and was answered so many milliseconds later; `accepted` is false when there was no
   * room for it, or the answer was too late.
   */
  jobOffered: [
    event: DispatcherJobEvent & {
      dispatchId: string
      agentName: string
      jobType: JobType
      accepted: boolean
      answeredInMs: number
    },
  ]
  /** LiveKit assigned a job: its token is there. */
  jobAssigned: [event: DispatcherJobEvent]
  /** A POST begins; attempts are counted from 1 at each endpoint. */
  attemptStarted: [event: DispatcherEndpointEvent & { attempt: number }]
  /** An attempt failed and will be repeated. */
  attemptFailed: [event: DispatcherEndpointEvent & { attempt: number; reason: string; retryInMs: number }]
  /**
   * An endpoint took a job. `parsed` is false when a 2xx came without a body; `identityMismatch` is true when the answer
   * names another identity than the token, which decides all the same.
   */
  delivered: [event: DispatcherEndpointEvent & { attempt: number; parsed: boolean; identityMismatch: boolean }]
  /** An endpoint does not want a job; the next one is asked. */
  rejected: [event: DispatcherEndpointEvent & { reason?: string }]
  /** An endpoint did not take a job; the next one is asked. */
  deliveryExhausted: [event: DispatcherEndpointEvent & { attempts: number; reason: string }]
  /** An endpoint answered 410: this dispatcher does not use it again. */
  endpointDisabled: [event: DispatcherEvent & { endpoint: string }]
  /** An agent reported that it runs. */
  jobRunning: [event: DispatcherJobEvent]
  /** A job is over; `error` says why it failed. */
  jobEnded: [event: DispatcherJobEvent & { status: 'success' | 'failed'; error?: string }]
  /** As many jobs are open as may be: what LiveKit offers is declined until one ends. */
  atCapacity: [event: DispatcherEvent & { activeJobs: number; maxJobs: number }]
  /** The listeners did not keep up, and so many events were lost before this one. */
  eventsDropped: [event: DispatcherEvent & { count: number }]
  /** A listener failed. */
  error: [error: unknown]
}

/** An event as it comes from the core. */
export type WireEvent = {
  [K in Exclude<keyof DispatcherEventMap, 'error'>]: { type: K } & DispatcherEventMap[K][0]
}[Exclude<keyof DispatcherEventMap, 'error'>]
