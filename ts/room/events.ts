// The names of a room's events and what each hands to its listeners: LiveKit's names and argument order.

import type { ConnectionQuality, ConnectionState, DataPacketKind, DisconnectReason } from './enums.js'
import type { LocalParticipant } from './local-participant.js'
import type { Participant, RemoteParticipant } from './participant.js'
import type { LocalTrackPublication, RemoteTrackPublication, TrackPublication } from './publication.js'
import type { LocalTrack, RemoteTrack } from './track.js'

/** The events of a `Room`. */
export const RoomEvent = {
  ParticipantConnected: 'participantConnected',
  ParticipantActive: 'participantActive',
  ParticipantDisconnected: 'participantDisconnected',
  LocalTrackPublished: 'localTrackPublished',
  LocalTrackUnpublished: 'localTrackUnpublished',
  LocalTrackRepublished: 'localTrackRepublished',
  LocalTrackSubscribed: 'localTrackSubscribed',
  TrackPublished: 'trackPublished',
  TrackUnpublished: 'trackUnpublished',
  TrackSubscribed: 'trackSubscribed',
  TrackUnsubscribed: 'trackUnsubscribed',
  TrackSubscriptionFailed: 'trackSubscriptionFailed',
  TrackMuted: 'trackMuted',
  TrackUnmuted: 'trackUnmuted',
  ActiveSpeakersChanged: 'activeSpeakersChanged',
  RoomMetadataChanged: 'roomMetadataChanged',
  RoomSidChanged: 'roomSidChanged',
  ParticipantMetadataChanged: 'participantMetadataChanged',
  ParticipantNameChanged: 'participantNameChanged',
  ParticipantAttributesChanged: 'participantAttributesChanged',
  ParticipantEncryptionStatusChanged: 'participantEncryptionStatusChanged',
  ConnectionQualityChanged: 'connectionQualityChanged',
  DataReceived: 'dataReceived',
  DataDropped: 'dataDropped',
  DtmfReceived: 'dtmfReceived',
  ConnectionStateChanged: 'connectionStateChanged',
  Connected: 'connected',
  Disconnected: 'disconnected',
  Reconnecting: 'reconnecting',
  Reconnected: 'reconnected',
  RoomUpdated: 'roomUpdated',
  Moved: 'moved',
  TokenRefreshed: 'tokenRefreshed',
} as const

/** The name of a room's event. */
export type RoomEvent = (typeof RoomEvent)[keyof typeof RoomEvent]

/** What the listeners of each event of a room receive. */
export interface RoomEventMap {
  /** Somebody joined. Who was there before the join is in `room.remoteParticipants` and is not announced. */
  participantConnected: [participant: RemoteParticipant]
  /** Somebody is fully connected and can receive data and media. */
  participantActive: [participant: Participant]
  /** Somebody left; `participant.disconnectReason` says why. */
  participantDisconnected: [participant: RemoteParticipant]
  /** A local track is published. */
  localTrackPublished: [publication: LocalTrackPublication, participant: LocalParticipant]
  /** A local track was taken back. */
  localTrackUnpublished: [publication: LocalTrackPublication, participant: LocalParticipant]
  /** A full reconnect published a local track again: the same publication, with a new sid. */
  localTrackRepublished: [publication: LocalTrackPublication, previousSid: string, participant: LocalParticipant]
  /** Somebody subscribed to a local track for the first time. */
  localTrackSubscribed: [track: LocalTrack]
  /** Somebody published a track. What was published before the join is in `participant.trackPublications`. */
  trackPublished: [publication: RemoteTrackPublication, participant: RemoteParticipant]
  /** Somebody took a track back. */
  trackUnpublished: [publication: RemoteTrackPublication, participant: RemoteParticipant]
  /** A track can be received from now on, those published before the join included. */
  trackSubscribed: [track: RemoteTrack, publication: RemoteTrackPublication, participant: RemoteParticipant]
  /** A track is no longer received. Its audio streams end after the listeners ran. */
  trackUnsubscribed: [track: RemoteTrack, publication: RemoteTrackPublication, participant: RemoteParticipant]
  /** A track could not be subscribed to. */
  trackSubscriptionFailed: [trackSid: string, participant: RemoteParticipant, reason?: string]
  /** A track, local or remote, was muted. */
  trackMuted: [publication: TrackPublication, participant: Participant]
  /** A track, local or remote, was unmuted. */
  trackUnmuted: [publication: TrackPublication, participant: Participant]
  /** Who speaks now, loudest first. Only the newest is delivered if several wait. */
  activeSpeakersChanged: [speakers: Participant[]]
  /** The room's metadata changed. */
  roomMetadataChanged: [metadata: string]
  /** The server told the room's sid. */
  roomSidChanged: [sid: string]
  /** Somebody's metadata changed. */
  participantMetadataChanged: [metadata: string | undefined, participant: Participant]
  /** Somebody's name changed. */
  participantNameChanged: [name: string, participant: Participant]
  /** Somebody's attributes changed: what changed, a removed one with an empty value. */
  participantAttributesChanged: [changedAttributes: Record<string, string>, participant: Participant]
  /** Somebody's tracks are encrypted between participants, or no longer. */
  participantEncryptionStatusChanged: [isEncrypted: boolean, participant: Participant]
  /** How good somebody's connection is. Only the newest of a participant is delivered if several wait. */
  connectionQualityChanged: [quality: ConnectionQuality, participant: Participant]
  /**
   * A data packet. `participant` is undefined when the server sent it, and when somebody did whom the server has not
   * announced yet, or no longer knows: it announces who publishes nothing up to three seconds late, and until then the
   * media library does not tell who it was. Tell callers to wait for `participantActive` or to say in the payload who they
   * are.
   */
  dataReceived: [
    payload: Uint8Array,
    participant: RemoteParticipant | undefined,
    kind: DataPacketKind,
    topic: string | undefined,
  ]
  /**
   * Reliable packets were dropped at this place, because 64 MiB of data waited for the listeners. Without a listener it is
   * logged.
   */
  dataDropped: [packets: number]
  /** A telephone key. */
  dtmfReceived: [code: number, digit: string, participant: RemoteParticipant]
  /** The state of the connection changed. */
  connectionStateChanged: [state: ConnectionState]
  /** The room is joined. Comes before `connect` resolves. */
  connected: []
  /** The room is left, for this reason. The last event of a connection. */
  disconnected: [reason: DisconnectReason]
  /** The connection is lost and being restored. */
  reconnecting: []
  /** The connection is restored. */
  reconnected: []
  /** The server told the room's counts and settings anew. */
  roomUpdated: []
  /** The participant was moved to another room: `name` and `metadata` are that room's. */
  moved: []
  /** The server renewed the token the connection uses. */
  tokenRefreshed: []
  /** A listener threw or rejected. Without a listener it is logged. */
  error: [error: unknown]
}
