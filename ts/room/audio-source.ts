// A source of local audio: frames go in, the track it is made into carries them. It refuses frames of another format,
// and frames that nobody can hear any more; it keeps the account of how much is still to be played.

import { checkWait, type WaitOptions, withSignal } from '../base/abort.js'
import { ClosedError, ConnectionError } from '../base/errors.js'
import { awaitNative, callNative, native } from '../base/native.js'
import { checkInteger, invalid } from '../base/options.js'
import { harmless } from '../base/promises.js'
import { type AudioFrameLike, checkChannels, checkFrame, checkSampleRate } from './audio-frame.js'
import { prepareEngine } from './engine.js'

/** @internal How the publication of a track ends: taken back, or by the room's end. */
export type PublicationEnd = 'unpublished' | 'left'

/** @internal What waiting for something of a publication ends with. */
export function publicationEnded(end: PublicationEnd, what: string): Error {
  if (end === 'left') return new ConnectionError('ROOM_DISCONNECTED', `${what}: the room of the track was left`)
  return new ClosedError('CLOSED', `${what}: the track was unpublished`)
}

/**
 * A source of local audio. Make a track of it with `LocalAudioTrack.createAudioTrack`. Once its last published track was
 * unpublished or that track's room left, it takes nothing in until a track of it is published again.
 */
export class AudioSource {
  static {
    harmless(AudioSource)
  }

  /** @internal */
  readonly native: native.NativeAudioSource
  /** Hz. */
  readonly sampleRate: number
  /** Channels. */
  readonly numChannels: number
  /** Milliseconds of audio it buffers before `captureFrame` waits. */
  readonly queueSize: number
  #closed = false
  /** How its last publication ended, while there is no other. */
  #ended: PublicationEnd | undefined
  readonly #published = new Set<object>()
  /** When what was captured has been played, in `performance.now()` time. */
  #playedAt = 0
  #waiting = new Set<() => void>()

  /**
   * @param sampleRate Hz, 8000 to 192000, a multiple of 100.
   * @param numChannels 1 or 2. LiveKit's media library does not tell the server that a track is stereo, so what it
   * sends is mono, whatever the source.
   * @param queueSize Milliseconds of audio to buffer, a multiple of 10 up to 60000. Default: 1000. With 0 nothing is
   * buffered: every frame is exactly 10 ms long and you pace them yourself.
   * @throws {ConfigError} `CONFIG_INVALID` if a number is out of range.
   * @throws {ConnectionError} `ENGINE_UNAVAILABLE` if the media library cannot be loaded.
   */
  constructor(sampleRate: number, numChannels: number, queueSize = 1000) {
    this.sampleRate = checkSampleRate(sampleRate, 'sampleRate')
    this.numChannels = checkChannels(numChannels, 'numChannels')
    this.queueSize = checkInteger(queueSize, 'queueSize', 0, 60_000)
    if (queueSize % 10 !== 0) throw invalid('queueSize', 'a multiple of 10', queueSize)
    prepareEngine()
    this.native = callNative(() => new native.NativeAudioSource(sampleRate, numChannels, queueSize))
  }

  /** Milliseconds of captured audio that are not played yet. */
  get queuedDuration(): number {
    return Math.max(this.#playedAt - performance.now(), 0)
  }

  /**
   * Takes one frame, of this source's rate and channels. Resolves when the source can take the next one: at once while
   * there is room in the queue, then at the pace of playing. Frames play in the order of the calls.
   *
   * @param frame An `AudioFrame`, or one of `@livekit/rtc-node`.
   * @param options `signal` stops waiting; a frame that the source took already plays all the same.
   * @throws {ConfigError} `CONFIG_INVALID` for a frame of another format, or when 1000 captures wait already.
   * @throws {ClosedError} `CLOSED` if the source is closed or its track unpublished; `ABORTED` if the signal aborts.
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room of its track was left.
   */
  async captureFrame(frame: AudioFrameLike, options?: WaitOptions): Promise<void> {
    const signal = checkWait(options)
    this.#checkOpen()
    checkFrame(frame, 'frame')
    if (frame.sampleRate !== this.sampleRate) {
      throw invalid('frame.sampleRate', `the source's ${this.sampleRate} Hz`, frame.sampleRate)
    }
    if (frame.channels !== this.numChannels) {
      throw invalid('frame.channels', `the source's ${this.numChannels}`, frame.channels)
    }
    if (frame.samplesPerChannel === 0) return
    const capture = (): Promise<void> => {
      const taken = awaitNative(() => this.native.capture(frame.data, frame.samplesPerChannel))
      const durationMs = (frame.samplesPerChannel / frame.sampleRate) * 1_000
      this.#playedAt = Math.max(this.#playedAt, performance.now()) + durationMs
      return taken
    }
    await withSignal(signal, capture)
  }

  /** Drops what was captured and not yet played. */
  clearQueue(): void {
    if (this.#closed) throw closed()
    callNative(() => this.native.clear())
    this.#release()
  }

  /**
   * Resolves when everything captured so far, and while it waits, has been played or dropped.
   *
   * @throws {ClosedError} `CLOSED` if its track is unpublished; `ABORTED` if the signal aborts.
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room of its track is left.
   */
  async waitForPlayout(options?: WaitOptions): Promise<void> {
    const signal = checkWait(options)
    for (;;) {
      if (this.#ended !== undefined) throw publicationEnded(this.#ended, 'what was captured is not played')
      const left = this.queuedDuration
      if (left === 0) return
      let done = (): void => {}
      const played = new Promise<void>((resolve) => {
        const timer = setTimeout(() => done(), left)
        done = () => {
          clearTimeout(timer)
          this.#waiting.delete(done)
          resolve()
        }
        this.#waiting.add(done)
      })
      await withSignal(
        signal,
        () => played,
        () => done(),
      )
    }
  }

  /** Takes no more frames, and gives up the captures that wait: they throw `CLOSED`. Repeating is harmless. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#ended = undefined
    this.#release()
    callNative(() => this.native.close())
  }

  /** Closes the source. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal A track of this source is published. */
  published(track: object): void {
    this.#published.add(track)
    if (this.#ended === undefined) return
    this.#ended = undefined
    callNative(() => this.native.resume())
  }

  /** @internal A track of this source is published no longer. */
  unpublished(track: object, end: PublicationEnd): void {
    if (!this.#published.delete(track) || this.#published.size > 0 || this.#closed) return
    this.#ended = end
    callNative(() => this.native.stop(end === 'left'))
    this.#release()
  }

  #checkOpen(): void {
    if (this.#closed) throw closed()
    if (this.#ended !== undefined) throw publicationEnded(this.#ended, 'the audio source takes nothing in')
  }

  #release(): void {
    this.#playedAt = 0
    for (const done of this.#waiting) done()
  }
}

function closed(): ClosedError {
  return new ClosedError('CLOSED', 'the audio source is closed')
}
