// Where the audio of all streams of this environment arrives: one call with what has come, cut into frames that own their
// memory and handed to the streams. It refuses to keep a stream alive that nobody reads and nobody holds.

import { log } from '../base/log.js'
import { callNative, native } from '../base/native.js'
import { AudioFrame } from './audio-frame.js'
import type { FrameQueue } from './frame-queue.js'

/** Numbers an entry of the index has: stream, samples per channel, channels, rate. */
const WIDTH = 4

interface Inbox {
  readonly queue: WeakRef<FrameQueue>
  /** The queue while somebody waits for its next frame: the promise alone holds nothing. */
  awaited: FrameQueue | undefined
}

const inboxes = new Map<number, Inbox>()
let receiving = false

function deliver(index: Uint32Array, samples: Int16Array): void {
  let start = 0
  for (let at = 0; at < index.length; at += WIDTH) {
    const stream = index[at] as number
    const perChannel = index[at + 1] as number
    const channels = index[at + 2] as number
    const end = start + perChannel * channels
    const inbox = inboxes.get(stream)
    const queue = inbox?.awaited ?? inbox?.queue.deref()
    if (perChannel === 0) {
      inboxes.delete(stream)
      queue?.end()
    } else if (queue !== undefined) {
      // A copy: what one frame's buffer holds is never another's.
      queue.push(new AudioFrame(samples.slice(start, end), index[at + 3] as number, channels, perChannel))
    }
    start = end
  }
}

function receive(index: Uint32Array, samples: Int16Array): void {
  try {
    deliver(index, samples)
  } catch (error) {
    // Thrown into the native caller it would end the process.
    log.error('audio could not be delivered', { error })
  }
}

/** @internal Makes this environment receive audio; before the first stream is opened. */
export function startReceiving(): void {
  if (receiving) return
  callNative(() => native.setAudioReceiver(receive))
  receiving = true
}

/** @internal Hands the frames of a stream to a queue until they end, or until nobody holds it. */
export function deliverTo(stream: number, queue: FrameQueue): void {
  const inbox: Inbox = { queue: new WeakRef(queue), awaited: undefined }
  inboxes.set(stream, inbox)
  queue.onAwaited = (awaited) => {
    inbox.awaited = awaited
  }
}
