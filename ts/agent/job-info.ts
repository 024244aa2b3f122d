// What a job says about itself: the verified body of its webhook as the plain object that users read.
// It refuses to hand out the token and the addresses: those stay with whoever joins the room.

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

/** The body of a job webhook, as far as it is read here. The native core has checked every type. */
export interface WireJob {
  job_id: string
  dispatch_id?: string
  job_type: JobType
  agent_name?: string
  room: {
    sid: string
    name: string
    created_at?: number
    creation_time?: number
    metadata?: string
    num_participants?: number
  }
  participant?: {
    sid: string
    identity: string
    name?: string
    kind?: string
    metadata?: string
    attributes?: Record<string, string>
  }
  metadata?: string
  attributes?: Record<string, string>
  access_token?: string
  server_url?: string
}

/** Reads the verified bytes of a job webhook. */
export function readJob(body: Uint8Array): WireJob {
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')) as WireJob
}

/** What the user sees of it. */
export function jobInfo(wire: WireJob): JobInfo {
  const { room, participant } = wire
  const createdAtS = room.created_at ?? room.creation_time
  return {
    id: wire.job_id,
    dispatchId: wire.dispatch_id ?? '',
    type: wire.job_type,
    agentName: wire.agent_name ?? '',
    room: {
      sid: room.sid,
      name: room.name,
      ...(createdAtS === undefined ? {} : { createdAt: createdAtS * 1_000 }),
      metadata: room.metadata ?? '',
      ...(room.num_participants === undefined ? {} : { numParticipants: room.num_participants }),
    },
    ...(participant === undefined ? {} : { participant: participantInfo(participant) }),
    metadata: wire.metadata ?? '',
    attributes: { ...wire.attributes },
  }
}

function participantInfo(wire: NonNullable<WireJob['participant']>): JobParticipant {
  return {
    sid: wire.sid,
    identity: wire.identity,
    name: wire.name ?? '',
    kind: wire.kind ?? '',
    metadata: wire.metadata ?? '',
    attributes: { ...wire.attributes },
  }
}
