// Tracks: what a publication carries once it is there. A local audio track carries an AudioSource; a remote one is read
// with an AudioStream. They refuse to know rooms: publishing is the local participant's work.

import { callNative, native } from '../base/native.js'
import { checkString, invalid } from '../base/options.js'
import { harmless } from '../base/promises.js'
import { AudioSource, type PublicationEnd } from './audio-source.js'
import { type StreamState, TrackKind } from './enums.js'
import type { TrackInfo } from './wire.js'

interface Closable {
  close(): void
}

/** A local or remote track. */
export abstract class Track {
  /** @internal */
  readonly native: native.NativeTrack
  /** @internal */
  info: TrackInfo
  readonly #streams = new Set<WeakRef<Closable>>()
  #ended = false

  /** @internal */
  constructor(core: native.NativeTrack) {
    if (!(core instanceof native.NativeTrack)) throw invalid('core', 'a track of the native core', core)
    this.native = core
    this.info = JSON.parse(callNative(() => core.info())) as TrackInfo
  }

  /** `TR_…`; the sid of its publication once it is published. */
  get sid(): string | undefined {
    return this.info.sid
  }

  /** The name it was given. */
  get name(): string | undefined {
    return this.info.name
  }

  /** Audio or video. */
  get kind(): TrackKind | undefined {
    return this.info.kind
  }

  /** Whether the server sends it, as of its subscription. */
  get stream_state(): StreamState | undefined {
    return this.info.streamState
  }

  /** Whether its publisher muted it. */
  get muted(): boolean | undefined {
    return this.info.muted
  }

  /** @internal A stream of this track, to be closed with it. A collected stream closes by itself. */
  attach(stream: Closable): void {
    for (const known of this.#streams) if (known.deref() === undefined) this.#streams.delete(known)
    this.#streams.add(new WeakRef(stream))
  }

  /** @internal Whether nothing will come of it any more. */
  get ended(): boolean {
    return this.#ended
  }

  /** @internal It is received no longer: its streams end, and so does every new one. */
  end(): void {
    this.#ended = true
    this.closeStreams()
  }

  /** @internal */
  closeStreams(): void {
    for (const stream of this.#streams) stream.deref()?.close()
    this.#streams.clear()
  }
}

/** A local track that carries an audio source. */
export class LocalAudioTrack extends Track {
  static {
    harmless(LocalAudioTrack)
  }

  readonly #source: AudioSource

  /** @internal */
  constructor(core: native.NativeTrack, source: AudioSource) {
    super(core)
    this.#source = source
  }

  /** @internal Channels of its source. */
  get numChannels(): number {
    return this.#source.numChannels
  }

  /**
   * Makes a track of a source. Publish it with `room.localParticipant.publishTrack(track, options)`.
   *
   * @throws {ConfigError} `CONFIG_INVALID` for a name or source that is none.
   * @throws {ClosedError} `CLOSED` if the source is closed.
   */
  static createAudioTrack(name: string, source: AudioSource): LocalAudioTrack {
    checkString(name, 'name')
    if (!(source instanceof AudioSource)) throw invalid('source', 'an AudioSource of roomhook', source)
    return new LocalAudioTrack(
      callNative(() => source.native.createTrack(name)),
      source,
    )
  }

  /** Stops sending its audio without taking the track back; others see it muted. */
  async mute(): Promise<this> {
    return this.#setMuted(true)
  }

  /** Sends its audio again. */
  async unmute(): Promise<this> {
    return this.#setMuted(false)
  }

  /**
   * Ends its streams, lets go of the media library's track and closes its source, unless told not to. Take it back first:
   * a publication stays. Repeating is harmless; everything else throws `CLOSED` from then on.
   */
  async close(closeSource = true): Promise<void> {
    this.closeStreams()
    callNative(() => this.native.close())
    if (closeSource) await this.#source.close()
  }

  /** @internal */
  published(): void {
    this.#source.published(this)
  }

  /** @internal */
  unpublished(end: PublicationEnd): void {
    this.#source.unpublished(this, end)
  }

  #setMuted(muted: boolean): this {
    this.info.muted = callNative(() => this.native.setMuted(muted))
    return this
  }
}

/** Somebody's audio track. Read it with `new AudioStream(track)`. */
export class RemoteAudioTrack extends Track {}

/** Somebody's video track: that it is there, and its state. */
export class RemoteVideoTrack extends Track {}

/** A track of ours. */
export type LocalTrack = LocalAudioTrack

/** A track of somebody else. */
export type RemoteTrack = RemoteAudioTrack | RemoteVideoTrack

/** A track that carries audio. */
export type AudioTrack = LocalAudioTrack | RemoteAudioTrack

/** @internal */
export function remoteTrack(core: native.NativeTrack, kind: number): RemoteTrack {
  return kind === TrackKind.KIND_VIDEO ? new RemoteVideoTrack(core) : new RemoteAudioTrack(core)
}
