// Builds the webhook's object by cutting its fields out of the verified bytes at the places the native core names: it
// cannot read anything else than what was checked, and it costs less than a second parse. The order of the places is
// the contract with src/webhook/places.rs; it checks nothing.

import type { JobParticipant, JobRoom, JobType } from '../agent/job-info.js'

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

const EVENTS = ['job', 'offer', 'terminated'] as const
const JOB_TYPES: readonly JobType[] = ['JT_ROOM', 'JT_PUBLISHER', 'JT_PARTICIPANT']

const ABSENT = 0xffff
const ESCAPED = 0x8000
const DIGIT = 0x8000
/** Where the token's subject stands, if the body leaves the identity to it. */
const AFTER_PLACES = 1 + 4 * 27

function numberAt(places: string, index: number): number | undefined {
  const at = 1 + 4 * index
  const first = places.charCodeAt(at)
  if (first === ABSENT) return undefined
  const high = first * DIGIT + places.charCodeAt(at + 1)
  return (high * DIGIT + places.charCodeAt(at + 2)) * DIGIT + places.charCodeAt(at + 3)
}

function millisecondsAt(places: string, index: number): number | undefined {
  const seconds = numberAt(places, index)
  return seconds === undefined ? undefined : seconds * 1000
}

/** Byte offsets are string offsets where all bytes are ASCII; `text` is undefined where they are not. */
function cut(body: Buffer, text: string | undefined, start: number, end: number): string {
  return text === undefined ? body.toString('utf8', start, end) : text.substring(start, end)
}

function textAt(body: Buffer, text: string | undefined, places: string, index: number): string | undefined {
  const at = 1 + 4 * index
  const first = places.charCodeAt(at)
  if (first === ABSENT) return undefined
  const start = ((first & ~ESCAPED) << 15) | places.charCodeAt(at + 1)
  const end = (places.charCodeAt(at + 2) << 15) | places.charCodeAt(at + 3)
  if ((first & ESCAPED) === 0) return cut(body, text, start, end)
  return JSON.parse(cut(body, text, start - 1, end + 1)) as string
}

function stringsOf(written: string | undefined): Record<string, string> {
  return written === undefined || written === '{}' ? {} : (JSON.parse(written) as Record<string, string>)
}

function participantOf(body: Buffer, text: string | undefined, places: string): JobParticipant | undefined {
  const sid = textAt(body, text, places, 21)
  if (sid === undefined) return undefined
  return {
    sid,
    identity: textAt(body, text, places, 22) ?? '',
    name: textAt(body, text, places, 23) ?? '',
    kind: textAt(body, text, places, 24) ?? '',
    metadata: textAt(body, text, places, 25) ?? '',
    attributes: stringsOf(textAt(body, text, places, 26)),
  }
}

/**
 * Builds the object of a verified body. All events get one shape, with `undefined` where the body says nothing: objects
 * of one shape are cheap to build and to use.
 */
export function readFields(body: Buffer, places: string): JobWebhook {
  const text = places.charCodeAt(0) === 1 ? body.toString('latin1') : undefined
  const event = EVENTS[numberAt(places, 0) ?? 0]
  const jobType = numberAt(places, 1)
  const webhook = {
    event,
    jobId: textAt(body, text, places, 7),
    dispatchId: textAt(body, text, places, 8) ?? '',
    jobType: jobType === undefined ? undefined : JOB_TYPES[jobType],
    agentName: textAt(body, text, places, 9) ?? '',
    room: {
      sid: textAt(body, text, places, 10) ?? '',
      name: textAt(body, text, places, 11) ?? '',
      createdAt: millisecondsAt(places, 2),
      metadata: textAt(body, text, places, 12) ?? '',
      numParticipants: numberAt(places, 3),
    },
    participant: participantOf(body, text, places),
    metadata: textAt(body, text, places, 13) ?? '',
    attributes: stringsOf(textAt(body, text, places, 14)),
    accessToken: event === 'job' ? textAt(body, text, places, 15) : undefined,
    participantIdentity: textAt(body, text, places, 16) || places.substring(AFTER_PLACES) || undefined,
    serverUrl: textAt(body, text, places, 17) || undefined,
    statusUrl: textAt(body, text, places, 18) || undefined,
    statusToken: textAt(body, text, places, 19) || undefined,
    reason: event === 'terminated' ? textAt(body, text, places, 20) : undefined,
    attempt: numberAt(places, 4) ?? 1,
    deadlineMs: numberAt(places, 5),
    sentAt: millisecondsAt(places, 6),
  }
  return webhook as JobWebhook
}
