// Participants: who they are, what they say about themselves, what they publish.

import { DisconnectReason, type ParticipantKind, type ParticipantKindDetail } from './enums.js'
import type { RemoteTrackPublication, TrackPublication } from './publication.js'
import type { ParticipantInfo } from './wire.js'

/** Somebody in a room. */
export abstract class Participant {
  /** @internal */
  info: ParticipantInfo
  /** What they publish, by sid. */
  trackPublications: Map<string, TrackPublication> = new Map()

  /** @internal */
  constructor(info: ParticipantInfo) {
    this.info = info
  }

  /** @internal Called after something in `info` has changed. */
  changed(): void {}

  /** `PA_…`. A full reconnect may change it. */
  get sid(): string | undefined {
    return this.info.sid
  }

  /** Display name. */
  get name(): string | undefined {
    return this.info.name
  }

  /** Unique in the room. */
  get identity(): string {
    return this.info.identity
  }

  /** Whatever they or the server attached. */
  get metadata(): string {
    return this.info.metadata
  }

  /** Key-value pairs they or the server attached. */
  get attributes(): Record<string, string> {
    return this.info.attributes
  }

  /** What they are: a person's client, an agent, a telephone. */
  get kind(): ParticipantKind {
    return this.info.kind
  }

  /** More about what they are: hosted, forwarded, by which connector; empty for most. */
  get kindDetails(): ParticipantKindDetail[] {
    return this.info.kindDetails
  }

  /** Why they left, once they have, if the server told. */
  get disconnectReason(): DisconnectReason | undefined {
    const reason: DisconnectReason = this.info.disconnectReason
    return reason === DisconnectReason.UNKNOWN_REASON ? undefined : reason
  }
}

/** Somebody else in a room. */
export class RemoteParticipant extends Participant {
  declare trackPublications: Map<string, RemoteTrackPublication>
}
