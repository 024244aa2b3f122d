// What a verified webhook says, and what of it a job is told: the types of the text that the native core hands over
// (src/webhook/notification.rs). It reads no body and checks nothing.

/** What a job is for: a room, each publisher of a room, or each participant of a room. */
export type JobType = 'JT_ROOM' | 'JT_PUBLISHER' | 'JT_PARTICIPANT'

/** The room of a job, as it was when the job was created. */
export interface JobRoom {
  /** `RM_…`. */
  readonly sid: string
  /** The name it is joined by. */
  readonly name: string
  /** When it was created, epoch milliseconds; undefined if the sender did not say. */
  readonly createdAt?: number
  /** The room's metadata; empty if none. */
  readonly metadata: string
  /** How many participants it had; undefined if the sender did not say. */
  readonly numParticipants?: number
}

/** The participant that a `JT_PUBLISHER` or `JT_PARTICIPANT` job is for. */
export interface JobParticipant {
  /** `PA_…`. */
  readonly sid: string
  /** Unique in the room. */
  readonly identity: string
  /** Display name; empty if none. */
  readonly name: string
  /** Such as `STANDARD` or `SIP`; empty if the sender did not say. */
  readonly kind: string
  /** The participant's metadata; empty if none. */
  readonly metadata: string
  /** The participant's attributes. */
  readonly attributes: Readonly<Record<string, string>>
}

/** What a job is about. */
export interface JobInfo {
  /** `AJ_…`. */
  readonly id: string
  /** The agent dispatch it belongs to, `AD_…`; empty if the sender did not say. */
  readonly dispatchId: string
  /** What the job is for. */
  readonly type: JobType
  /** The agent name it was dispatched to; empty if the sender did not say. */
  readonly agentName: string
  /** The room. */
  readonly room: JobRoom
  /** The participant the job is for; undefined for `JT_ROOM`. */
  readonly participant?: JobParticipant
  /** The dispatch's metadata, opaque; empty if none. */
  readonly metadata: string
  /** The dispatch's attributes. */
  readonly attributes: Readonly<Record<string, string>>
}

/** What every job webhook says. On the wire the names are in snake_case, and times in Unix seconds. */
export interface WebhookFields {
  /** The job, `AJ_…`. */
  readonly jobId: string
  /** The agent dispatch it belongs to, `AD_…`; empty if the sender did not say. One dispatch can yield several jobs. */
  readonly dispatchId: string
  /** The agent name it is for; empty if the sender did not say. */
  readonly agentName: string
  /** The room. */
  readonly room: JobRoom
  /** The participant a `JT_PUBLISHER` or `JT_PARTICIPANT` job is for. */
  readonly participant?: JobParticipant
  /** The dispatch's metadata, opaque; empty if none. */
  readonly metadata: string
  /** The dispatch's attributes. */
  readonly attributes: Readonly<Record<string, string>>
  /** Where the job's status goes; undefined if the sender takes none. */
  readonly statusUrl?: string
  /** The bearer for `statusUrl`, for this job only. */
  readonly statusToken?: string
  /** The number of this attempt, from 1. */
  readonly attempt: number
  /** How long the sender waits for the answer, in milliseconds; undefined if it did not say. */
  readonly deadlineMs?: number
  /** The signed timestamp, epoch milliseconds. */
  readonly sentAt: number
}

/** A job with its token: accept or reject it, then join. */
export interface JobNotification extends WebhookFields {
  readonly event: 'job'
  /** What the job is for. */
  readonly jobType: JobType
  /** The join token. It fits the room and the identity; LiveKit verifies it when it is used. */
  readonly accessToken: string
  /** The identity to join under: the token's subject. */
  readonly participantIdentity: string
  /** The URL to join at. */
  readonly serverUrl: string
}

/** A job without a token yet: would you take it? */
export interface JobOffer extends WebhookFields {
  readonly event: 'offer'
  /** What the job is for. */
  readonly jobType: JobType
  /** The identity the sender proposes, if it does; the answer may name another. */
  readonly participantIdentity?: string
  /** The URL to join at, if the sender says. */
  readonly serverUrl?: string
}

/** A job that was handed over has ended. */
export interface JobTermination extends WebhookFields {
  readonly event: 'terminated'
  /** Why: one of these words, or one that a later version of the protocol adds. */
  readonly reason: 'dispatch_deleted' | 'agent_left' | 'room_closed' | 'cancelled' | 'expired' | (string & {})
}

/** A verified webhook; `event` says which. */
export type JobWebhook = JobNotification | JobOffer | JobTermination

/** A job as its user sees it: without the token and the addresses, which stay with whoever joins the room. */
export function jobInfo({
  jobId,
  jobType,
  dispatchId,
  agentName,
  room,
  participant,
  metadata,
  attributes,
}: JobNotification | JobOffer): JobInfo {
  return {
    id: jobId,
    dispatchId,
    type: jobType,
    agentName,
    room,
    ...(participant === undefined ? {} : { participant }),
    metadata,
    attributes,
  }
}
