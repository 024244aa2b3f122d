// Where the audio of all streams of this environment arrives: one call a tick, cut into frames and handed to the streams.

import { log } from '../log.js'
import { callNative, native } from '../native.js'
import { AudioFrame } from './audio-frame.js'
import type { FrameQueue } from './frame-queue.js'

/** Numbers per frame in the index: stream, offset, samples per channel, channels, rate. */
const WIDTH = 5

const queues = new Map<number, FrameQueue>()
let receiving = false

function receive(samples: Int16Array, index: Int32Array): void {
  try {
    for (let at = 0; at < index.length; at += WIDTH) {
      const stream = index[at] as number
      const queue = queues.get(stream)
      if (queue === undefined) continue
      const perChannel = index[at + 2] as number
      if (perChannel === 0) {
        queues.delete(stream)
        queue.end()
        continue
      }
      const start = index[at + 1] as number
      const channels = index[at + 3] as number
      const data = samples.subarray(start, start + perChannel * channels)
      queue.push(new AudioFrame(data, index[at + 4] as number, channels, perChannel))
    }
  } catch (error) {
    // Thrown into the native caller it would end the process.
    log.error('delivering audio failed', { error })
  }
}

/** @internal Makes this environment receive audio; before the first stream is opened. */
export function startReceiving(): void {
  if (receiving) return
  callNative(() => native.receiveAudio(receive))
  receiving = true
}

/** @internal Hands the frames of a stream to a queue until they end. */
export function deliverTo(stream: number, queue: FrameQueue): void {
  queues.set(stream, queue)
}
