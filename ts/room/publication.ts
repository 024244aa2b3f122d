// Publications: that somebody publishes a track, and its state. A remote one can be subscribed to or not.

import { checkWait, type WaitOptions } from '../base/abort.js'
import { checkBoolean } from '../base/options.js'
import { Happening, harmless } from '../base/promises.js'
import { type PublicationEnd, publicationEnded } from './audio-source.js'
import type { EncryptionType, TrackKind, TrackSource } from './enums.js'
import type { Session } from './session.js'
import type { LocalTrack, RemoteTrack, Track } from './track.js'
import type { PublicationInfo } from './wire.js'

/** A published track, of ours or of somebody else. */
export abstract class TrackPublication {
  /** @internal */
  info: PublicationInfo
  /** The track, once it is there. */
  track: Track | undefined

  /** @internal */
  constructor(info: PublicationInfo) {
    this.info = info
  }

  /** `TR_…`. */
  get sid(): string | undefined {
    return this.info.sid
  }

  /** The track's name. */
  get name(): string | undefined {
    return this.info.name
  }

  /** Audio or video. */
  get kind(): TrackKind | undefined {
    return this.info.kind
  }

  /** Where the track comes from. */
  get source(): TrackSource | undefined {
    return this.info.source
  }

  /** Whether several qualities are published. */
  get simulcasted(): boolean | undefined {
    return this.info.simulcasted
  }

  /** Pixels; 0 for audio. */
  get width(): number | undefined {
    return this.info.width
  }

  /** Pixels; 0 for audio. */
  get height(): number | undefined {
    return this.info.height
  }

  /** As negotiated, e.g. `audio/red`. */
  get mimeType(): string | undefined {
    return this.info.mimeType
  }

  /** Whether its publisher muted it. */
  get muted(): boolean | undefined {
    return this.info.muted
  }

  /** How it is encrypted between participants. */
  get encryptionType(): EncryptionType | undefined {
    return this.info.encryptionType
  }

  /** @internal */
  setMuted(muted: boolean): void {
    this.info.muted = muted
    if (this.track !== undefined) this.track.info.muted = muted
  }
}

/** A track of ours that is published. */
export class LocalTrackPublication extends TrackPublication {
  static {
    harmless(LocalTrackPublication)
  }

  declare track: LocalTrack | undefined
  readonly #subscription = new Happening<void>()
  readonly #published: LocalTrack

  /** @internal */
  constructor(info: PublicationInfo, track: LocalTrack) {
    super(info)
    this.track = track
    this.#published = track
  }

  /**
   * Resolves once somebody has subscribed to it.
   *
   * @throws {ClosedError} `CLOSED` if it is unpublished before; `ABORTED` if the signal aborts.
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room is left before.
   */
  async waitForSubscription(options?: WaitOptions): Promise<void> {
    await this.#subscription.wait(checkWait(options))
  }

  /** @internal */
  resolveFirstSubscription(): void {
    this.#subscription.happened()
  }

  /** @internal It was taken back, or its room left: what waits for it, or captures for it, is over. */
  end(how: PublicationEnd): void {
    this.#subscription.never(() => publicationEnded(how, 'nobody subscribed'))
    this.#published.unpublished(how)
  }
}

/** A track somebody else publishes. */
export class RemoteTrackPublication extends TrackPublication {
  declare track: RemoteTrack | undefined
  /** Whether the track is received now. */
  subscribed = false
  readonly #session: Session

  /** @internal */
  constructor(info: PublicationInfo, session: Session) {
    super(info)
    this.#session = session
  }

  /**
   * Asks to receive the track, or no longer. `trackSubscribed` or `trackUnsubscribed` says when it happened. What
   * changes within 100 ms is told to the server one after the other, 100 ms apart, so that the last call stands.
   *
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room is not connected.
   * @throws {ConfigError} `CONFIG_INVALID` if the publication was taken back.
   */
  setSubscribed(subscribed: boolean): void {
    checkBoolean(subscribed, 'subscribed')
    this.#session.call('setSubscribed', (room) => room.setSubscribed(this.info.sid, subscribed))
  }
}
