// A source of local audio: frames go in, the track it is made into carries them. It refuses frames of another format,
// and keeps the account of how much is still to be played.

import { ClosedError } from '../base/errors.js'
import { awaitNative, callNative, native } from '../base/native.js'
import { checkInteger, invalid } from '../base/options.js'
import { AudioFrame, checkFrame, MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE } from './audio-frame.js'
import { prepareEngine } from './engine.js'

/** A source of local audio. Make a track of it with `LocalAudioTrack.createAudioTrack`. */
export class AudioSource {
  /** @internal */
  readonly native: native.NativeAudioSource
  /** Hz. */
  readonly sampleRate: number
  /** Channels. */
  readonly numChannels: number
  /** Milliseconds of audio it buffers before `captureFrame` waits. */
  readonly queueSize: number
  #closed = false
  /** When what was captured has been played, in `performance.now()` time. */
  #playedAt = 0
  #waiting = new Set<() => void>()

  /**
   * @param sampleRate Hz, 8000 to 192000.
   * @param numChannels 1 or 2.
   * @param queueSize Milliseconds of audio to buffer, a multiple of 10 up to 60000. Default: 1000. With 0 nothing is
   * buffered: every frame is exactly 10 ms long and you pace them yourself.
   * @throws {ConfigError} `CONFIG_INVALID` if a number is out of range.
   * @throws {ConnectionError} `ENGINE_UNAVAILABLE` if the media library cannot be loaded.
   */
  constructor(sampleRate: number, numChannels: number, queueSize = 1000) {
    this.sampleRate = checkInteger(sampleRate, 'sampleRate', MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
    this.numChannels = checkInteger(numChannels, 'numChannels', 1, MAX_CHANNELS)
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
   * @throws {ConfigError} `CONFIG_INVALID` for a frame of another format, or when 1000 captures wait already.
   * @throws {ClosedError} `CLOSED` if the source is closed.
   */
  async captureFrame(frame: AudioFrame): Promise<void> {
    this.#checkOpen()
    if (!(frame instanceof AudioFrame)) throw invalid('frame', 'an AudioFrame', frame)
    checkFrame(frame, 'frame')
    if (frame.sampleRate !== this.sampleRate) {
      throw invalid('frame.sampleRate', `the source's ${this.sampleRate} Hz`, frame.sampleRate)
    }
    if (frame.channels !== this.numChannels) {
      throw invalid('frame.channels', `the source's ${this.numChannels}`, frame.channels)
    }
    if (frame.samplesPerChannel === 0) return
    const capture = awaitNative(() => this.native.capture(frame.data, frame.samplesPerChannel))
    const durationMs = (frame.samplesPerChannel / frame.sampleRate) * 1_000
    this.#playedAt = Math.max(this.#playedAt, performance.now()) + durationMs
    await capture
  }

  /** Drops what was captured and not yet played. */
  clearQueue(): void {
    this.#checkOpen()
    callNative(() => this.native.clear())
    this.#release()
  }

  /** Resolves when everything captured so far, and while it waits, has been played or dropped. */
  async waitForPlayout(): Promise<void> {
    while (this.queuedDuration > 0) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, this.queuedDuration)
        this.#waiting.add(done)
      })
    }
  }

  /** Takes no more frames, and gives up the captures that wait: they throw `CLOSED`. Repeating is harmless. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#release()
    callNative(() => this.native.close())
  }

  /** Closes the source. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('CLOSED', 'the audio source is closed')
  }

  #release(): void {
    this.#playedAt = 0
    for (const done of this.#waiting) done()
  }
}
