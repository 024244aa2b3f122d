// The local participant: what this process publishes and says about itself. It refuses to publish a track twice.

import { checkSignal, checkWait, type WaitOptions, withSignal } from '../base/abort.js'
import { ConfigError, RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import type { native } from '../base/native.js'
import { checkBoolean, checkOptions, checkString, checkStrings, checkText, invalid } from '../base/options.js'
import { harmless } from '../base/promises.js'
import { checkPublishOptions, type TrackPublishOptions } from './options.js'
import { Participant } from './participant.js'
import { LocalTrackPublication } from './publication.js'
import type { Session } from './session.js'
import { LocalAudioTrack, type LocalTrack } from './track.js'
import type { ParticipantInfo, PublicationInfo } from './wire.js'

/** How long what was done may take to be announced. The server announces what we change ourselves at once. */
const ANNOUNCED_WITHIN_MS = 5_000

/** How a data packet is sent. */
export interface DataPublishOptions {
  /** Resent until it arrives, and in order; otherwise sent once. Default: false. */
  reliable?: boolean | undefined
  /** The identities it is for. Default: everybody. */
  destination_identities?: string[] | undefined
  /** The topic it belongs to. Default: none. */
  topic?: string | undefined
  /** Stops waiting until it is sent; it may be sent all the same. Default: none. */
  signal?: AbortSignal | undefined
}

/**
 * This process in a room. Its calls throw `ConnectionError` `ROOM_DISCONNECTED` once the room is left, and `ClosedError`
 * `ABORTED` when their `signal` aborts: nobody waits any more, but what was asked for may happen all the same.
 */
export class LocalParticipant extends Participant {
  static {
    harmless(LocalParticipant)
  }

  declare trackPublications: Map<string, LocalTrackPublication>
  readonly #session: Session
  readonly #publishing = new Map<LocalTrack, Promise<unknown>>()
  readonly #watching = new Set<() => void>()
  /** The last of the changes that were asked for; each waits for the one before it. */
  #changes: Promise<unknown> = Promise.resolve()

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
    if (!(track instanceof LocalAudioTrack)) throw invalid('track', 'a LocalAudioTrack of roomhook', track)
    const { native: complete, signal } = checkPublishOptions(options)
    const published = [...this.trackPublications.values()].some((publication) => publication.track === track)
    if (published || this.#publishing.has(track)) {
      throw new ConfigError('CONFIG_INVALID', 'track is published already: unpublish it first, or make another track')
    }
    if (track.numChannels > 1) {
      // rust-sdks livekit/src/room/participant/local_participant.rs: its AddTrackRequest never has TF_STEREO, so
      // livekit-server answers without `stereo=1`, and Opus folds both channels into one.
      log.warn('a stereo source is published, but what is sent is mono: use a source of one channel')
    }
    return withSignal(signal, () => this.#publish(track, complete))
  }

  async #publish(track: LocalTrack, options: native.NativePublishOptions): Promise<LocalTrackPublication> {
    const publishing = this.#session.ask('publishTrack', (room) => room.publishTrack(track.native, options))
    this.#publishing.set(track, publishing)
    try {
      const info = JSON.parse(await publishing) as PublicationInfo
      const publication = new LocalTrackPublication(info, track)
      track.info.sid = info.sid
      track.published()
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
  async unpublishTrack(trackSid: string, stopOnUnpublish = true, options?: WaitOptions): Promise<void> {
    checkText(trackSid, 'trackSid')
    checkBoolean(stopOnUnpublish, 'stopOnUnpublish')
    const signal = checkWait(options)
    this.#session.check('unpublishTrack')
    if (!this.trackPublications.has(trackSid)) {
      throw new ConfigError('CONFIG_INVALID', 'trackSid must be the sid of a publication of the local participant')
    }
    const ask = () => this.#session.ask('unpublishTrack', (room) => room.unpublishTrack(trackSid, stopOnUnpublish))
    await withSignal(signal, ask)
    // The publication leaves the map with its event, which the library sends before it answers.
  }

  /**
   * Sends a data packet. Packets leave in the order of the calls, awaited or not.
   *
   * @param data With topic and identities at most 64,000 bytes, less about 100 bytes and the own identity.
   * @throws {ConfigError} `CONFIG_INVALID` for data that is no Uint8Array or too long, or wrong options.
   * @throws {ConnectionError} `TRANSPORT_FAILED` if it could not be sent, or the token does not allow it
   * (`canPublishData`).
   */
  async publishData(data: Uint8Array, options?: DataPublishOptions): Promise<void> {
    if (!(data instanceof Uint8Array)) throw invalid('data', 'a Uint8Array', data)
    const known = ['reliable', 'destination_identities', 'topic', 'signal'] as const
    const { reliable, destination_identities, topic, signal } = checkOptions(options, 'options', known)
    checkSignal(signal, 'options.signal')
    if (reliable !== undefined) checkBoolean(reliable, 'options.reliable')
    if (topic !== undefined) checkString(topic, 'options.topic')
    if (destination_identities !== undefined) checkTexts(destination_identities, 'options.destination_identities')
    const send = (room: native.NativeRoom) =>
      room.publishData(data, reliable ?? false, topic, destination_identities ?? [])
    await withSignal(signal, () => this.#session.ask('publishData', send))
  }

  /**
   * Changes this participant's metadata. The token must allow it (`canUpdateOwnMetadata`). Changes of name, metadata and
   * attributes are done one after the other, in the order of the calls, awaited or not.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for an empty one while there is one: LiveKit keeps what there is then.
   */
  async updateMetadata(metadata: string, options?: WaitOptions): Promise<void> {
    checkString(metadata, 'metadata')
    const signal = checkWait(options)
    const isSo = () => this.metadata === metadata
    const set = (room: native.NativeRoom) => room.setMetadata(metadata)
    await withSignal(signal, () => this.#change('updateMetadata', set, isSo, metadata))
  }

  /**
   * Changes this participant's name, as `updateMetadata` does.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for an empty one while there is one: LiveKit keeps what there is then.
   */
  async updateName(name: string, options?: WaitOptions): Promise<void> {
    checkString(name, 'name')
    const signal = checkWait(options)
    const isSo = () => this.name === name
    const set = (room: native.NativeRoom) => room.setName(name)
    await withSignal(signal, () => this.#change('updateName', set, isSo, name))
  }

  /**
   * Sets attributes of this participant, as `updateMetadata` does; others stay. An empty value removes one.
   */
  async setAttributes(attributes: Record<string, string>, options?: WaitOptions): Promise<void> {
    checkStrings(attributes, 'attributes')
    const signal = checkWait(options)
    const wanted = Object.entries(attributes)
    const isSo = () => wanted.every(([name, value]) => (this.attributes[name] ?? '') === value)
    const set = (room: native.NativeRoom) => room.setAttributes(Object.fromEntries(wanted))
    await withSignal(signal, () => this.#change('setAttributes', set, isSo))
  }

  /** @internal */
  override changed(): void {
    for (const look of this.#watching) look()
  }

  /**
   * Changes what this participant says about itself, after the changes asked for before. **One at a time:** the library
   * sends name and metadata together, the other from what was last announced, so that a change begun before the one
   * before it was announced would take that back (rust-sdks livekit/src/room/participant/local_participant.rs).
   */
  #change(
    what: string,
    ask: (room: native.NativeRoom) => Promise<void>,
    isSo: () => boolean,
    text?: string,
  ): Promise<void> {
    this.#session.check(what)
    const change = this.#changes.then(() => {
      if (text !== '') return this.#changeNow(what, ask, isSo)
      if (isSo()) return undefined
      throw new ConfigError('CONFIG_INVALID', `${what}: expected some text, got none; LiveKit keeps what there is then`)
    })
    this.#changes = change.catch(() => {})
    return change
  }

  /**
   * Done when the server has announced it; when it was so before, when the server has answered. The library begins to wait
   * for an answer after it has asked, so it can miss it, and then fails after five seconds although all went well.
   */
  async #changeNow(what: string, ask: (room: native.NativeRoom) => Promise<void>, isSo: () => boolean): Promise<void> {
    let was = isSo()
    let look = (): void => {}
    let timer: NodeJS.Timeout | undefined
    const announced = new Promise<void>((resolve) => {
      look = () => {
        const is = isSo()
        if ((is && !was) || this.#session.ended) resolve()
        was = is
      }
    })
    this.#watching.add(look)
    const answered = async (): Promise<void> => {
      try {
        await this.#session.ask(what, ask)
      } catch (error) {
        const missed = RoomhookError.isInstance(error) && error.retryable && isSo()
        if (!missed) throw error
      }
      if (isSo()) return
      // Somebody else may have changed it at once, so that ours is never announced.
      await new Promise((resolve) => {
        timer = setTimeout(resolve, ANNOUNCED_WITHIN_MS).unref()
      })
    }
    try {
      await Promise.race([answered(), announced])
      if (!isSo()) this.#session.check(what)
    } finally {
      clearTimeout(timer)
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
