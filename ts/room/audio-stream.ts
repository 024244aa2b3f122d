// The audio of a track as a stream of frames: a ReadableStream whose `for await` reads the queue directly. It refuses to
// buffer without bound: the oldest frames are dropped and counted when nobody reads.

import type { ReadableStreamDefaultController, UnderlyingSource } from 'node:stream/web'
import { ConfigError } from '../base/errors.js'
import { callNative, type native } from '../base/native.js'
import { checkInteger, checkOptions, invalid } from '../base/options.js'
import { type AudioFrame, checkChannels, checkSampleRate } from './audio-frame.js'
import { TrackKind } from './enums.js'
import { deliverTo, startReceiving } from './frame-hub.js'
import { FrameQueue } from './frame-queue.js'
import { Track } from './track.js'

type NativeAudioStream = native.NativeAudioStream

/** How the audio of a track is cut into frames. */
export interface AudioStreamOptions {
  /** Hz, 8000 to 192000, a multiple of 100; the audio is resampled. Default: 48000. */
  sampleRate?: number | undefined
  /** 1 or 2; the audio is remixed. Default: 1. */
  numChannels?: number | undefined
  /** Length of a frame in milliseconds, 10 to 1000. Default: 10. */
  frameSizeMs?: number | undefined
  /** Frames that wait to be read before the oldest is dropped, 1 to 100000. Default: 500. */
  capacityFrames?: number | undefined
  /**
   * Milliseconds a frame may wait so that more are handed over with it, 1 to 1000: fewer wakes of the thread, later audio.
   * The smallest of the thread's open streams counts, and no stream waits longer than the frames it holds
   * (`capacityFrames`). Default: 1, in which the frames of all streams come, or 0 while no other stream is open.
   */
  maxDelayMs?: number | undefined
}

function complete(first: number | AudioStreamOptions | undefined, numChannels: number | undefined) {
  const given = typeof first === 'number' ? { sampleRate: first } : first
  const options: AudioStreamOptions = checkOptions(given, 'options', [
    'sampleRate',
    'numChannels',
    'frameSizeMs',
    'capacityFrames',
    'maxDelayMs',
  ])
  const { sampleRate = 48_000, frameSizeMs, capacityFrames = 500, maxDelayMs } = options
  const channels = options.numChannels ?? numChannels ?? 1
  checkSampleRate(sampleRate, 'sampleRate')
  checkChannels(channels, 'numChannels')
  if (frameSizeMs !== undefined) checkInteger(frameSizeMs, 'frameSizeMs', 10, 1_000)
  checkInteger(capacityFrames, 'capacityFrames', 1, 100_000)
  if (maxDelayMs !== undefined) checkInteger(maxDelayMs, 'maxDelayMs', 1, 1_000)
  return { sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs }
}

type AudioFrameIterator = AsyncIteratorObject<AudioFrame, undefined, unknown>

/** What the stream's source and its iterators share. */
interface Ending {
  controller?: ReadableStreamDefaultController<AudioFrame>
  /** Lets go of the lock an iterator holds. */
  release?: () => void
}

function close(ending: Ending): void {
  const { controller, release } = ending
  delete ending.controller
  delete ending.release
  controller?.close()
  release?.()
}

function sourceOf(
  queue: FrameQueue,
  core: NativeAudioStream | undefined,
  ending: Ending,
): UnderlyingSource<AudioFrame> {
  return {
    start(controller: ReadableStreamDefaultController<AudioFrame>) {
      ending.controller = controller
    },
    async pull(controller: ReadableStreamDefaultController<AudioFrame>) {
      const { value, done } = await queue.next()
      if (done === true) return
      controller.enqueue(value)
      if (queue.drained) close(ending)
    },
    cancel() {
      delete ending.controller
      queue.discard()
      core?.close()
    },
  }
}

/**
 * The audio of a track. Read it with `for await`, or as the `ReadableStream` it is. It ends when the track is
 * unsubscribed, when the room is left, or when it is closed or cancelled (leaving a `for await` early cancels it), and at
 * once if the track has ended already. One that nobody holds or reads any more is closed by garbage collection.
 */
export class AudioStream extends ReadableStream<AudioFrame> {
  readonly #queue: FrameQueue
  readonly #core: NativeAudioStream | undefined
  readonly #ending: Ending

  /**
   * @param track A subscribed remote audio track, or a local one.
   * @param options Sample rate in Hz, or all options.
   * @param numChannels Channels, when the second argument is a rate.
   * @throws {ConfigError} `CONFIG_INVALID` if the track carries no audio or an option is out of range.
   */
  constructor(track: Track, options?: number | AudioStreamOptions, numChannels?: number) {
    if (!(track instanceof Track)) throw invalid('track', "a track of roomhook's Room", track)
    if (track.kind !== TrackKind.KIND_AUDIO) {
      throw new ConfigError('CONFIG_INVALID', 'track must be an audio track, got a track without audio')
    }
    const { sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs } = complete(options, numChannels)
    startReceiving()
    const open = (): NativeAudioStream =>
      track.native.openStream(sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs)
    const core = track.ended ? undefined : callNative(open)
    const ending: Ending = {}
    const queue = new FrameQueue(capacityFrames, () => close(ending))
    super(sourceOf(queue, core, ending), { highWaterMark: 0 })
    this.#queue = queue
    this.#core = core
    this.#ending = ending
    if (core === undefined) {
      queue.end()
      return
    }
    deliverTo(core.number, queue)
    track.attach(this)
  }

  /** Frames dropped so far because nobody read them in time. */
  get droppedFrames(): number {
    return this.#queue.dropped + (this.#core?.droppedFrames ?? 0)
  }

  /** Ends the stream; frames that wait can still be read. Repeating is harmless. */
  close(): void {
    this.#core?.close()
    this.#queue.end()
  }

  /** Iterates over the frames. Leaving the loop cancels the stream, unless `preventCancel` is set. */
  override values(options: { preventCancel?: boolean } = {}): AudioFrameIterator {
    // The reader only locks the stream; frames are read from the queue itself, which costs a quarter as much.
    const reader = this.getReader()
    const queue = this.#queue
    const ending = this.#ending
    let left = false
    ending.release = () => {
      left = true
      reader.releaseLock()
    }
    const leave = async (): Promise<void> => {
      if (left) return
      left = true
      delete ending.release
      const cancelled = options.preventCancel === true ? undefined : reader.cancel()
      reader.releaseLock()
      await cancelled
    }
    const iterator = {
      next() {
        if (!left && queue.drained) close(ending)
        return left ? Promise.resolve({ value: undefined, done: true as const }) : queue.next()
      },
      async return(value?: unknown) {
        await leave()
        return { value, done: true as const }
      },
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: leave,
    }
    return iterator as unknown as AudioFrameIterator
  }

  override [Symbol.asyncIterator](options?: { preventCancel?: boolean }): AudioFrameIterator {
    return this.values(options)
  }

  /** Closes the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}
