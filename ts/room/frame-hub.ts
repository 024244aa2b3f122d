// Where the audio of all streams of this environment arrives: one call a tick, cut into frames and handed to the streams.
// Frames are views into a piece of memory that is filled from front to end and then replaced, never written twice.

import { log } from '../log.js'
import { callNative, native } from '../native.js'
import { AudioFrame } from './audio-frame.js'
import type { FrameQueue } from './frame-queue.js'

/** Numbers the index begins with: frames, samples, samples the next frame needs. */
const HEAD = 3
/** Numbers per frame in the index: stream, offset, samples per channel, channels, rate. */
const WIDTH = 5
/** Samples of one piece of memory; what a reader keeps of it keeps all of it. */
const PIECE = 32_768

const queues = new Map<number, FrameQueue>()
const index = new Int32Array(HEAD + WIDTH * 512)
const indexBytes = new Uint8Array(index.buffer)
let piece = new Uint8Array(0)
let used = 0
let ready = false

function deliver(count: number): void {
  const { buffer } = piece
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
    const channels = index[at + 3] as number
    const data = new Int16Array(buffer, 2 * (index[at + 1] as number), perChannel * channels)
    queue.push(new AudioFrame(data, index[at + 4] as number, channels, perChannel))
  }
}

function take(): void {
  try {
    let next: number
    do {
      native.takeAudio(piece, used, indexBytes)
      used += index[1] as number
      next = index[2] as number
      deliver(index[0] as number)
      if (next > piece.length / 2 - used) {
        piece = new Uint8Array(2 * Math.max(PIECE, next))
        used = 0
      }
    } while (next > 0)
  } catch (error) {
    // Thrown into the native caller it would end the process.
    log.error('audio could not be delivered', { error })
  }
}

/** @internal Makes this environment receive audio; before the first stream is opened. */
export function startReceiving(): void {
  if (ready) return
  callNative(() => native.setAudioDoorbell(take))
  ready = true
}

/** @internal Hands the frames of a stream to a queue until they end. */
export function deliverTo(stream: number, queue: FrameQueue): void {
  queues.set(stream, queue)
}
