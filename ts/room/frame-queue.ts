// Frames of one stream that wait to be read: bounded, the oldest is dropped and counted. One reader waits at a time in
// order; after the end, what is left can be read and then nothing.

import { log } from '../base/log.js'
import type { AudioFrame } from './audio-frame.js'

type Result = IteratorResult<AudioFrame, undefined>

const DONE: Result = Object.freeze({ value: undefined, done: true })

/** @internal */
export class FrameQueue {
  /** Frames dropped unread. */
  dropped = 0
  /** Told this queue when somebody begins to wait for a frame, and `undefined` when nobody does any more. */
  onAwaited: (queue: FrameQueue | undefined) => void = () => {}
  #frames: AudioFrame[] = []
  #head = 0
  #readers: ((result: Result) => void)[] = []
  #ended = false
  readonly #onDry: () => void

  /** @param onDry is called if the end comes while nothing waits. Otherwise the reader finds it `drained`. */
  constructor(
    readonly capacity: number,
    onDry: () => void,
  ) {
    this.#onDry = onDry
  }

  /** Whether nothing more will ever be read. */
  get drained(): boolean {
    return this.#ended && this.#head === this.#frames.length
  }

  push(frame: AudioFrame): void {
    if (this.#ended) return
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      if (this.#readers.length === 0) this.onAwaited(undefined)
      reader({ value: frame, done: false })
      return
    }
    if (this.#frames.length - this.#head === this.capacity) {
      if (this.dropped === 0) log.warn('audio frames are dropped: nobody reads a stream', { capacity: this.capacity })
      this.dropped += 1
      this.#head += 1
    }
    this.#frames.push(frame)
    // The dead part is cut off in bulk: shifting one by one would move the whole array each time.
    if (this.#head > this.capacity) this.#compact()
  }

  next(): Promise<Result> {
    if (this.#head < this.#frames.length) {
      const value = this.#frames[this.#head] as AudioFrame
      this.#head += 1
      if (this.#head === this.#frames.length) this.#compact()
      return Promise.resolve({ value, done: false })
    }
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve) => {
      if (this.#readers.push(resolve) === 1) this.onAwaited(this)
    })
  }

  /** No more frames will come; those that wait can be read. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.onAwaited(undefined)
    for (const reader of this.#readers.splice(0)) reader(DONE)
    if (this.drained) this.#onDry()
  }

  /** Nobody will read any more. */
  discard(): void {
    this.#frames = []
    this.#head = 0
    this.end()
  }

  #compact(): void {
    this.#frames = this.#frames.slice(this.#head)
    this.#head = 0
  }
}
