// What each event of the native core does to the picture of the room, and what it announces: first the picture, then
// the listeners, with rtc-node's arguments. An event about somebody unknown is dropped.

import { log } from '../base/log.js'
import { callNative } from '../base/native.js'
import { ConnectionState } from './enums.js'
import type { RoomEventMap } from './events.js'
import type { LocalParticipant } from './local-participant.js'
import { type Participant, RemoteParticipant } from './participant.js'
import { RemoteTrackPublication, type TrackPublication } from './publication.js'
import type { Session } from './session.js'
import { remoteTrack } from './track.js'
import type { RoomInfo, WireEvent, WireEvents } from './wire.js'

/** @internal What a connected room is made of. */
export interface RoomPicture {
  info: RoomInfo
  readonly session: Session
  readonly local: LocalParticipant
  readonly remote: Map<string, RemoteParticipant>
  /** Answers whether anybody listens. */
  announce<K extends keyof RoomEventMap & string>(event: K, ...args: RoomEventMap[K]): boolean
  setConnectionState(state: ConnectionState): void
}

type Handler<E> = (room: RoomPicture, event: E, payload: Uint8Array | undefined) => void | Promise<void>

function participantOf(room: RoomPicture, identity: string): Participant | undefined {
  return identity === room.local.identity ? room.local : room.remote.get(identity)
}

function publicationOf(
  room: RoomPicture,
  identity: string,
  sid: string,
): [TrackPublication, Participant] | [undefined, undefined] {
  const participant = participantOf(room, identity)
  const publication = participant?.trackPublications.get(sid)
  return participant === undefined || publication === undefined ? [undefined, undefined] : [publication, participant]
}

function setMuted(room: RoomPicture, { identity, sid }: WireEvents['trackMuted'], muted: boolean): void {
  const [publication, participant] = publicationOf(room, identity, sid)
  // The library tells of a mute by the server twice.
  if (publication === undefined || publication.muted === muted) return
  publication.setMuted(muted)
  room.announce(muted ? 'trackMuted' : 'trackUnmuted', publication, participant)
}

const participants = {
  participantConnected(room, { participant: info }) {
    const known = room.remote.get(info.identity)
    if (known !== undefined) {
      known.info = info
      return
    }
    const participant = new RemoteParticipant(info)
    room.remote.set(info.identity, participant)
    room.announce('participantConnected', participant)
  },
  participantActive(room, { identity }) {
    const participant = participantOf(room, identity)
    if (participant !== undefined) room.announce('participantActive', participant)
  },
  participantDisconnected(room, { identity, reason }) {
    const participant = room.remote.get(identity)
    if (participant === undefined) return
    room.remote.delete(identity)
    participant.info.disconnectReason = reason
    room.announce('participantDisconnected', participant)
    for (const publication of participant.trackPublications.values()) publication.track?.end()
  },
  participantsUpdated(room, { participants: infos }) {
    for (const info of infos) {
      const participant = participantOf(room, info.identity)
      if (participant === undefined) continue
      participant.info = info
      participant.changed()
    }
  },
  participantMetadataChanged(room, { identity, metadata }) {
    const participant = participantOf(room, identity)
    if (participant === undefined) return
    participant.info.metadata = metadata
    participant.changed()
    room.announce('participantMetadataChanged', metadata, participant)
  },
  participantNameChanged(room, { identity, name }) {
    const participant = participantOf(room, identity)
    if (participant === undefined) return
    participant.info.name = name
    participant.changed()
    room.announce('participantNameChanged', name, participant)
  },
  participantAttributesChanged(room, { identity, attributes, changed }) {
    const participant = participantOf(room, identity)
    if (participant === undefined) return
    participant.info.attributes = attributes
    participant.changed()
    if (Object.keys(changed).length > 0) room.announce('participantAttributesChanged', changed, participant)
  },
  participantEncryptionStatusChanged(room, { identity, isEncrypted }) {
    const participant = participantOf(room, identity)
    if (participant !== undefined) room.announce('participantEncryptionStatusChanged', isEncrypted, participant)
  },
  connectionQualityChanged(room, { identity, quality }) {
    const participant = participantOf(room, identity)
    if (participant !== undefined) room.announce('connectionQualityChanged', quality, participant)
  },
  activeSpeakersChanged(room, { identities }) {
    const speakers = identities.map((identity) => participantOf(room, identity))
    room.announce(
      'activeSpeakersChanged',
      speakers.filter((speaker) => speaker !== undefined),
    )
  },
} satisfies Partial<{ [K in keyof WireEvents]: Handler<WireEvents[K]> }>

const tracks = {
  async localTrackPublished(room, { sid }) {
    const publication = await room.local.publicationOf(sid)
    if (publication !== undefined) room.announce('localTrackPublished', publication, room.local)
  },
  async localTrackUnpublished(room, { sid }) {
    const publication = await room.local.publicationOf(sid)
    if (publication === undefined) return
    room.local.trackPublications.delete(sid)
    // Leaving takes our tracks back first, but what waits for them ends with the room.
    if (!room.session.leaving) publication.end('unpublished')
    room.announce('localTrackUnpublished', publication, room.local)
    publication.track = undefined
  },
  async localTrackRepublished(room, { previousSid, publication: info }) {
    const publication = await room.local.publicationOf(previousSid)
    if (publication === undefined) return
    room.local.trackPublications.delete(previousSid)
    publication.info = info
    if (publication.track !== undefined) publication.track.info.sid = info.sid
    room.local.trackPublications.set(info.sid, publication)
    room.announce('localTrackRepublished', publication, previousSid, room.local)
  },
  async localTrackSubscribed(room, { sid }) {
    const publication = await room.local.publicationOf(sid)
    if (publication === undefined) return
    publication.resolveFirstSubscription()
    if (publication.track !== undefined) room.announce('localTrackSubscribed', publication.track)
  },
  trackPublished(room, { identity, publication: info }) {
    const participant = room.remote.get(identity)
    if (participant === undefined) return
    const publication = new RemoteTrackPublication(info, room.session)
    participant.trackPublications.set(info.sid, publication)
    room.announce('trackPublished', publication, participant)
  },
  trackUnpublished(room, { identity, sid }) {
    const participant = room.remote.get(identity)
    const publication = participant?.trackPublications.get(sid)
    if (participant === undefined || publication === undefined) return
    participant.trackPublications.delete(sid)
    room.announce('trackUnpublished', publication, participant)
    publication.track?.end()
  },
  trackSubscribed(room, { identity, track: info, handle }) {
    const participant = room.remote.get(identity)
    const publication = participant?.trackPublications.get(info.sid)
    const track = remoteTrack(
      callNative(() => room.session.room.takeTrack(handle)),
      info.kind,
    )
    if (participant === undefined || publication === undefined) return
    publication.subscribed = true
    publication.track = track
    room.announce('trackSubscribed', track, publication, participant)
  },
  trackUnsubscribed(room, { identity, sid }) {
    const participant = room.remote.get(identity)
    const publication = participant?.trackPublications.get(sid)
    const track = publication?.track
    if (participant === undefined || publication === undefined || track === undefined) return
    publication.track = undefined
    publication.subscribed = false
    room.announce('trackUnsubscribed', track, publication, participant)
    track.end()
  },
  trackSubscriptionFailed(room, { identity, sid, error }) {
    const participant = room.remote.get(identity)
    if (participant !== undefined) room.announce('trackSubscriptionFailed', sid, participant, error)
  },
  trackMuted: (room, event) => setMuted(room, event, true),
  trackUnmuted: (room, event) => setMuted(room, event, false),
} satisfies Partial<{ [K in keyof WireEvents]: Handler<WireEvents[K]> }>

const handlers: { [K in keyof WireEvents]: Handler<WireEvents[K]> } = {
  ...participants,
  ...tracks,
  roomMetadataChanged(room, { metadata }) {
    room.info.metadata = metadata
    room.announce('roomMetadataChanged', metadata)
  },
  roomSidChanged(room, { sid }) {
    room.info.sid = sid
    room.announce('roomSidChanged', sid)
  },
  roomUpdated(room, { room: info }) {
    room.info = info
    room.announce('roomUpdated')
  },
  moved(room, { room: info }) {
    room.info = info
    room.announce('moved')
  },
  connectionStateChanged(room, { state }) {
    // The end is told by `disconnected` alone, so that nothing comes after it.
    if (state !== ConnectionState.CONN_DISCONNECTED) room.setConnectionState(state)
  },
  dataReceived(room, { identity, kind, topic }, payload) {
    room.announce('dataReceived', payload ?? new Uint8Array(0), room.remote.get(identity), kind, topic ?? undefined)
  },
  dataDropped(room, { packets }) {
    if (room.announce('dataDropped', packets)) return
    log.warn('reliable data was dropped: the listeners of a room did not keep up, and 64 MiB waited', { packets })
  },
  dtmfReceived(room, { identity, code, digit }) {
    const participant = room.remote.get(identity)
    if (participant !== undefined) room.announce('dtmfReceived', code, digit ?? '', participant)
  },
  reconnecting(room) {
    room.announce('reconnecting')
  },
  reconnected(room) {
    room.announce('reconnected')
  },
  tokenRefreshed(room) {
    room.announce('tokenRefreshed')
  },
  disconnected(room, { reason }) {
    room.session.end()
    room.local.changed()
    for (const publication of room.local.trackPublications.values()) publication.end('left')
    for (const { trackPublications } of room.remote.values()) {
      for (const { track } of trackPublications.values()) track?.end()
    }
    room.setConnectionState(ConnectionState.CONN_DISCONNECTED)
    room.announce('disconnected', reason)
  },
}

/** @internal Applies one event and announces it. A failure is logged: the events after it still count. */
export async function applyEvent(room: RoomPicture, event: WireEvent, payload?: Uint8Array): Promise<void> {
  try {
    const handler = handlers[event.type] as Handler<WireEvent> | undefined
    await handler?.(room, event, payload)
  } catch (error) {
    log.error('an event of a room could not be applied', { event: event.type, error })
  }
}
