// The side that is measured: joins with one of the libraries, reads every audio track with `for await`, and answers how
// much CPU time its JavaScript thread used per frame, and when it saw which burst. Started by ../audio.mjs as a process of
// its own.

import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const [library, url, token, streams, maxDelayMs] = process.argv.slice(2)
const { AudioStream, Room, RoomEvent } = await import(
  library === 'roomhook' ? '../../dist/index.js' : '@livekit/rtc-node'
)

// Only ours has the option.
const options = library === 'roomhook' && maxDelayMs !== undefined ? [{ maxDelayMs: Number(maxDelayMs) }] : []

const LOUD = 6_000
let frames = 0
let bursts = []
let reading = 0

/** Whether the burst of 1 kHz is in a frame: two samples a quarter of its period apart cannot both be small. */
function isLoud(data) {
  return (
    Math.abs(data[0]) > LOUD || Math.abs(data[12]) > LOUD || Math.abs(data[240]) > LOUD || Math.abs(data[252]) > LOUD
  )
}

async function read(track, name) {
  reading += 1
  let loud = false
  for await (const { data } of new AudioStream(track, ...options)) {
    frames += 1
    const now = isLoud(data)
    if (now && !loud) bursts.push([name, Number(process.hrtime.bigint()) / 1e6])
    loud = now
  }
}

/** Nanoseconds this process's first thread, the JavaScript thread, has run so far. */
function threadTime() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0])
}

async function measure(ms) {
  bursts = []
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
    bursts,
  }
}

const room = new Room()
// rtc-node adds a listener of its own per stream and would warn of a leak.
room.setMaxListeners(0)
room.on(RoomEvent.TrackSubscribed, (track, publication) => void read(track, publication.name))
await room.connect(url, token, { autoSubscribe: true, dynacast: false })
while (reading < Number(streams)) await delay(50)
process.on('message', async ({ ms }) => process.send(await measure(ms)))
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
