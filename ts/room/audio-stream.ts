// The audio of a track as a stream of frames: a ReadableStream whose `for await` reads the queue directly. It refuses to
// buffer without bound: the oldest frames are dropped and counted when nobody reads.

import {
  ReadableStream,
  type ReadableStreamAsyncIterator,
  type ReadableStreamDefaultController,
  type UnderlyingSource,
} from 'node:stream/web'
import { ConfigError } from '../base/errors.js'
import { callNative, type native } from '../base/native.js'
import { checkInteger, checkOptions, invalid } from '../base/options.js'
import { type AudioFrame, MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE } from './audio-frame.js'
import { TrackKind } from './enums.js'
import { deliverTo, startReceiving } from './frame-hub.js'
import { FrameQueue } from './frame-queue.js'
import { Track } from './track.js'

type NativeAudioStream = native.NativeAudioStream

/** How the audio of a track is cut into frames. */
export interface AudioStreamOptions {
  /** Hz, 8000 to 192000; the audio is resampled. Default: 48000. */
  sampleRate?: number
  /** 1 or 2; the audio is remixed. Default: 1. */
  numChannels?: number
  /** Length of a frame in milliseconds, 10 to 1000. Default: 10. */
  frameSizeMs?: number
  /** Frames that wait to be read before the oldest is dropped, 1 to 100000. Default: 500. */
  capacityFrames?: number
  /**
   * Milliseconds a frame may wait so that frames of all streams are handed over together, 10 to 1000. The smallest of the
   * thread's open streams counts, and no stream waits longer than the frames it holds (`capacityFrames`). Default: 10
   * for up to 16 open streams and from 120 on; in between 120 frames are waited for, 60 ms at most (60 with 20 streams,
   * 30 with 50): waking the thread costs more than the frames do.
   */
  maxDelayMs?: number
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
  checkInteger(sampleRate, 'sampleRate', MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
  checkInteger(channels, 'numChannels', 1, MAX_CHANNELS)
  if (frameSizeMs !== undefined) checkInteger(frameSizeMs, 'frameSizeMs', 10, 1_000)
  checkInteger(capacityFrames, 'capacityFrames', 1, 100_000)
  if (maxDelayMs !== undefined) checkInteger(maxDelayMs, 'maxDelayMs', 10, 1_000)
  return { sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs }
}

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

function sourceOf(queue: FrameQueue, core: NativeAudioStream, ending: Ending): UnderlyingSource<AudioFrame> {
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
      core.close()
    },
  }
}

/**
 * The audio of a track. Read it with `for await`, or as the `ReadableStream` it is. It ends when the track is
 * unsubscribed, when the room is left, or when it is closed or cancelled (leaving a `for await` early cancels it).
 *
 * The frames of all streams of a thread arrive together, every 10 ms while up to 16 streams are open and less often with
 * more: see `maxDelayMs`.
 */
export class AudioStream extends ReadableStream<AudioFrame> {
  readonly #queue: FrameQueue
  readonly #core: NativeAudioStream
  readonly #ending: Ending

  /**
   * @param track A subscribed remote audio track, or a local one.
   * @param options Sample rate in Hz, or all options.
   * @param numChannels Channels, when the second argument is a rate.
   * @throws {ConfigError} `CONFIG_INVALID` if the track carries no audio or an option is out of range.
   */
  constructor(track: Track, options?: number | AudioStreamOptions, numChannels?: number) {
    if (!(track instanceof Track)) throw invalid('track', 'a track', track)
    if (track.kind !== TrackKind.KIND_AUDIO) {
      throw new ConfigError('CONFIG_INVALID', 'track must be an audio track, got a track without audio')
    }
    const { sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs } = complete(options, numChannels)
    startReceiving()
    const core = callNative(() =>
      track.native.openStream(sampleRate, channels, frameSizeMs, capacityFrames, maxDelayMs),
    )
    const ending: Ending = {}
    const queue = new FrameQueue(capacityFrames, () => close(ending))
    super(sourceOf(queue, core, ending), { highWaterMark: 0 })
    this.#queue = queue
    this.#core = core
    this.#ending = ending
    deliverTo(core.number, queue)
    track.attach(this)
  }

  /** Frames dropped so far because nobody read them in time. */
  get droppedFrames(): number {
    return this.#queue.dropped + this.#core.droppedFrames
  }

  /** Ends the stream; frames that wait can still be read. Repeating is harmless. */
  close(): void {
    this.#core.close()
    this.#queue.end()
  }

  /** Iterates over the frames. Leaving the loop cancels the stream, unless `preventCancel` is set. */
  override values(options: { preventCancel?: boolean } = {}): ReadableStreamAsyncIterator<AudioFrame> {
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
    return iterator as unknown as ReadableStreamAsyncIterator<AudioFrame>
  }

  override [Symbol.asyncIterator](options?: { preventCancel?: boolean }): ReadableStreamAsyncIterator<AudioFrame> {
    return this.values(options)
  }

  /** Closes the stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}
