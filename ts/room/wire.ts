// The JSON that crosses from the native core: the snapshot of a join and the events of a room. Both sides of the
// boundary name the same fields in the same order; src/engine/event.rs and src/engine/types.rs are the other side.

/** @internal */
export interface RoomInfo {
  sid: string | null
  name: string
  metadata: string
  emptyTimeout: number
  departureTimeout: number
  maxParticipants: number
  creationTime: number
  numParticipants: number
  numPublishers: number
  activeRecording: boolean
}

/** @internal */
export interface ParticipantInfo {
  sid: string
  name: string
  identity: string
  metadata: string
  attributes: Record<string, string>
  kind: number
  kindDetails: number[]
  state: number
  disconnectReason: number
  joinedAt: number
}

/** @internal */
export interface PublicationInfo {
  sid: string
  name: string
  kind: number
  source: number
  simulcasted: boolean
  width: number
  height: number
  mimeType: string
  muted: boolean
  encryptionType: number
}

/** @internal */
export interface TrackInfo {
  sid: string
  name: string
  kind: number
  streamState: number
  muted: boolean
  remote: boolean
}

/** @internal */
export interface Snapshot {
  room: RoomInfo
  local: ParticipantInfo
  participants: { participant: ParticipantInfo; publications: PublicationInfo[] }[]
}

interface OfParticipant {
  identity: string
}

interface OfPublication extends OfParticipant {
  sid: string
}

/** @internal What each event carries beside its `type`. */
export interface WireEvents {
  participantConnected: { participant: ParticipantInfo }
  participantActive: OfParticipant
  participantDisconnected: OfParticipant & { reason: number }
  participantsUpdated: { participants: ParticipantInfo[] }
  localTrackPublished: { sid: string }
  localTrackUnpublished: { sid: string }
  localTrackRepublished: { previousSid: string; publication: PublicationInfo }
  localTrackSubscribed: { sid: string }
  trackPublished: OfParticipant & { publication: PublicationInfo }
  trackUnpublished: OfPublication
  trackSubscribed: OfParticipant & { track: TrackInfo; handle: number }
  trackUnsubscribed: OfPublication
  trackSubscriptionFailed: OfPublication & { error: string }
  trackMuted: OfPublication
  trackUnmuted: OfPublication
  activeSpeakersChanged: { identities: string[] }
  roomMetadataChanged: { metadata: string }
  roomSidChanged: { sid: string }
  roomUpdated: { room: RoomInfo }
  moved: { room: RoomInfo }
  participantMetadataChanged: OfParticipant & { metadata: string }
  participantNameChanged: OfParticipant & { name: string }
  participantAttributesChanged: OfParticipant & { attributes: Record<string, string>; changed: Record<string, string> }
  participantEncryptionStatusChanged: OfParticipant & { isEncrypted: boolean }
  connectionQualityChanged: OfParticipant & { quality: number }
  connectionStateChanged: { state: number }
  dataReceived: OfParticipant & { topic: string | null; kind: number; length: number }
  dataDropped: { packets: number }
  dtmfReceived: OfParticipant & { code: number; digit: string | null }
  reconnecting: object
  reconnected: object
  tokenRefreshed: object
  disconnected: { reason: number }
}

/** @internal */
export type WireEvent = { [K in keyof WireEvents]: { type: K } & WireEvents[K] }[keyof WireEvents]
