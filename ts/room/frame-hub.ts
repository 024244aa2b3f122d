// Where the audio of all streams of this environment arrives: one call a tick, cut into frames and handed to the streams.
// Frames are views into memory that the native core fills from front to end and then replaces, never written twice. It
// refuses to copy samples: that would cost the JavaScript thread more than all the rest.

import { log } from '../base/log.js'
import { callNative, native } from '../base/native.js'
import { AudioFrame } from './audio-frame.js'
import type { FrameQueue } from './frame-queue.js'

/** Numbers the index begins with: entries, the number of the memory their samples are in. */
const HEAD = 2
/** Numbers per entry of the index: stream, offset in samples, samples per channel, channels, rate. */
const WIDTH = 5

const queues = new Map<number, FrameQueue>()
let index: Int32Array | undefined
let memory = new ArrayBuffer(0)
let known = 0

function deliver(index: Int32Array, count: number): void {
  for (let at = HEAD; at < HEAD + WIDTH * count; at += WIDTH) {
    const stream = index[at] as number
    const queue = queues.get(stream)
    if (queue === undefined) continue
    const perChannel = index[at + 2] as number
    if (perChannel === 0) {
      queues.delete(stream)
      queue.end()
      continue
    }
    // Somebody detached it, with `frame.data.buffer.transfer()`.
    if (memory.byteLength === 0) {
      queue.dropped += 1
      continue
    }
    const channels = index[at + 3] as number
    const data = new Int16Array(memory, 2 * (index[at + 1] as number), perChannel * channels)
    queue.push(new AudioFrame(data, index[at + 4] as number, channels, perChannel))
  }
}

function receive(): void {
  try {
    if (index === undefined) return
    if (index[1] !== known) {
      // Node.js itself keeps an addon's memory from being transferred. Marked by us as well, Node.js 24 aborts at exit.
      memory = native.audioMemory() ?? memory
      known = index[1] as number
    }
    deliver(index, index[0] as number)
  } catch (error) {
    // Thrown into the native caller it would end the process.
    log.error('audio could not be delivered', { error })
  }
}

/** @internal Makes this environment receive audio; before the first stream is opened. */
export function startReceiving(): void {
  index ??= new Int32Array(callNative(() => native.setAudioDoorbell(receive)))
}

/** @internal Hands the frames of a stream to a queue until they end. */
export function deliverTo(stream: number, queue: FrameQueue): void {
  queues.set(stream, queue)
}
