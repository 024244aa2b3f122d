// The side that is measured: joins with one of the libraries, reads every audio track with `for await`, and answers how
// much CPU time its JavaScript thread used per frame. Started by ../audio.mjs as a process of its own.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const [library, url, token, streams, maxDelayMs] = process.argv.slice(2)
const { AudioStream, Room, RoomEvent } = await import(
  library === 'roomhook' ? '../../dist/index.js' : '@livekit/rtc-node'
)

// Only ours has the option.
const options = library === 'roomhook' && maxDelayMs !== undefined ? [{ maxDelayMs: Number(maxDelayMs) }] : []

let frames = 0
let loudest = 0
let reading = 0

async function read(track) {
  reading += 1
  for await (const frame of new AudioStream(track, ...options)) {
    frames += 1
    if (frame.data[0] > loudest) loudest = frame.data[0]
  }
}

/** Nanoseconds this process's first thread, the JavaScript thread, has run so far. */
function threadTime() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0])
}

async function measure(ms) {
  const before = { frames, time: threadTime(), clock: performance.now(), cpu: process.cpuUsage() }
  await delay(ms)
  const counted = frames - before.frames
  const seconds = (performance.now() - before.clock) / 1_000
  const cpu = process.cpuUsage(before.cpu)
  return {
    frames: counted,
    perSecond: counted / seconds,
    threadUs: (threadTime() - before.time) / 1_000,
    processUs: cpu.user + cpu.system,
    loudest,
  }
}

const room = new Room()
// rtc-node adds a listener of its own per stream and would warn of a leak.
room.setMaxListeners(0)
room.on(RoomEvent.TrackSubscribed, (track) => void read(track))
await room.connect(url, token, { autoSubscribe: true, dynacast: false })
while (reading < Number(streams)) await delay(50)
process.on('message', async ({ ms }) => process.send(await measure(ms)))
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
