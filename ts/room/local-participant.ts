// The local participant: what this process publishes and says about itself. It refuses to publish a track twice.

import { ConfigError, RoomhookError } from '../base/errors.js'
import type { native } from '../base/native.js'
import { checkBoolean, checkOptions, checkString, checkStrings, checkText, invalid } from '../base/options.js'
import { harmless } from '../base/promises.js'
import { checkPublishOptions, type TrackPublishOptions } from './options.js'
import { Participant } from './participant.js'
import { LocalTrackPublication } from './publication.js'
import type { Session } from './session.js'
import { LocalAudioTrack, type LocalTrack } from './track.js'
import type { ParticipantInfo, PublicationInfo } from './wire.js'

/** How a data packet is sent. */
export interface DataPublishOptions {
  /** Resent until it arrives, and in order; otherwise sent once. Default: false. */
  reliable?: boolean | undefined
  /** The identities it is for. Default: everybody. */
  destination_identities?: string[] | undefined
  /** The topic it belongs to. Default: none. */
  topic?: string | undefined
}

/** This process in a room. Its calls throw `ConnectionError` `ROOM_DISCONNECTED` once the room is left. */
export class LocalParticipant extends Participant {
  static {
    harmless(LocalParticipant)
  }

  declare trackPublications: Map<string, LocalTrackPublication>
  readonly #session: Session
  readonly #publishing = new Map<LocalTrack, Promise<unknown>>()
  readonly #watching = new Set<() => void>()

  /** @internal */
  constructor(info: ParticipantInfo, session: Session) {
    super(info)
    this.#session = session
  }

  /**
   * Publishes a track.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for what is no local track, one that is published already, or wrong options.
   * @throws {ConnectionError} `TRANSPORT_FAILED` if the server refuses, for example for want of permission.
   */
  async publishTrack(track: LocalTrack, options?: TrackPublishOptions): Promise<LocalTrackPublication> {
    if (!(track instanceof LocalAudioTrack)) throw invalid('track', 'a local track', track)
    const complete = checkPublishOptions(options)
    const published = [...this.trackPublications.values()].some((publication) => publication.track === track)
    if (published || this.#publishing.has(track)) {
      throw new ConfigError('CONFIG_INVALID', 'track is published already: unpublish it first, or make another track')
    }
    const publishing = this.#session.ask('publishTrack', (room) => room.publishTrack(track.native, complete))
    this.#publishing.set(track, publishing)
    try {
      const info = JSON.parse(await publishing) as PublicationInfo
      const publication = new LocalTrackPublication(info, track)
      track.info.sid = info.sid
      this.trackPublications.set(info.sid, publication)
      if (this.#session.ended) publication.end('left')
      return publication
    } finally {
      this.#publishing.delete(track)
    }
  }

  /**
   * Takes a track back.
   *
   * @param stopOnUnpublish Whether the track stops as well. Default: true.
   * @throws {ConfigError} `CONFIG_INVALID` if no publication has this sid.
   */
  async unpublishTrack(trackSid: string, stopOnUnpublish = true): Promise<void> {
    checkText(trackSid, 'trackSid')
    checkBoolean(stopOnUnpublish, 'stopOnUnpublish')
    this.#session.check('unpublishTrack')
    if (!this.trackPublications.has(trackSid)) {
      throw new ConfigError('CONFIG_INVALID', 'trackSid must be the sid of a publication of the local participant')
    }
    await this.#session.ask('unpublishTrack', (room) => room.unpublishTrack(trackSid, stopOnUnpublish))
    // The publication leaves the map with its event, which the library sends before it answers.
  }

  /**
   * Sends a data packet.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for data that is no Uint8Array, or wrong options.
   * @throws {ConnectionError} `TRANSPORT_FAILED` if it could not be sent.
   */
  async publishData(data: Uint8Array, options?: DataPublishOptions): Promise<void> {
    if (!(data instanceof Uint8Array)) throw invalid('data', 'a Uint8Array', data)
    const { reliable, destination_identities, topic } = checkOptions(options, 'options', [
      'reliable',
      'destination_identities',
      'topic',
    ])
    if (reliable !== undefined) checkBoolean(reliable, 'options.reliable')
    if (topic !== undefined) checkString(topic, 'options.topic')
    if (destination_identities !== undefined) checkTexts(destination_identities, 'options.destination_identities')
    await this.#session.ask('publishData', (room) =>
      room.publishData(data, reliable ?? false, topic, destination_identities ?? []),
    )
  }

  /** Changes this participant's metadata. The token must allow it (`canUpdateOwnMetadata`). */
  async updateMetadata(metadata: string): Promise<void> {
    checkString(metadata, 'metadata')
    const isSo = () => this.metadata === metadata
    await this.#change('updateMetadata', (room) => room.setMetadata(metadata), isSo)
  }

  /** Changes this participant's name. The token must allow it (`canUpdateOwnMetadata`). */
  async updateName(name: string): Promise<void> {
    checkString(name, 'name')
    await this.#change(
      'updateName',
      (room) => room.setName(name),
      () => this.name === name,
    )
  }

  /**
   * Sets attributes of this participant; others stay. An empty value removes one. The token must allow it
   * (`canUpdateOwnMetadata`).
   */
  async setAttributes(attributes: Record<string, string>): Promise<void> {
    checkStrings(attributes, 'attributes')
    const wanted = Object.entries(attributes)
    const isSo = () => wanted.every(([name, value]) => (this.attributes[name] ?? '') === value)
    await this.#change('setAttributes', (room) => room.setAttributes(attributes), isSo)
  }

  /** @internal */
  override changed(): void {
    for (const look of this.#watching) look()
  }

  /**
   * Changes what this participant says about itself: done when the server says so, or announces it. The library begins to
   * wait for the server's answer after it has asked, so it can miss it, and then fails after five seconds although all went
   * well.
   */
  async #change(what: string, ask: (room: native.NativeRoom) => Promise<void>, isSo: () => boolean): Promise<void> {
    let look = (): void => {}
    const announced = new Promise<void>((resolve) => {
      look = () => isSo() && resolve()
    })
    this.#watching.add(look)
    const answered = this.#session.ask(what, ask).catch((error: unknown) => {
      const missed = RoomhookError.isInstance(error) && error.retryable && isSo()
      if (!missed) throw error
    })
    try {
      await Promise.race([answered, announced])
    } finally {
      this.#watching.delete(look)
    }
  }

  /**
   * The publication an event names. The event may overtake the answer to `publishTrack`.
   *
   * @internal
   */
  async publicationOf(sid: string): Promise<LocalTrackPublication | undefined> {
    while (!this.trackPublications.has(sid) && this.#publishing.size > 0) {
      const answers = [...this.#publishing.values()].map((publishing) => publishing.catch(() => {}))
      await Promise.race(answers)
      // `publishTrack` itself goes on in a later microtask than this one.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return this.trackPublications.get(sid)
  }
}

function checkTexts(value: unknown, path: string): asserts value is string[] {
  if (!Array.isArray(value)) throw invalid(path, 'an array of strings', value)
  value.forEach((entry, index) => {
    checkText(entry, `${path}[${index}]`)
  })
}
