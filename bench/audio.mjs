// Received audio at 1, 20 and 50 streams over a real room: CPU time of the JavaScript thread per 10 ms frame, and the
// delay from `captureFrame` to the frame. roomhook and rtc-node, each in a process of its own, one after the other on the
// same server and publishers. It measures what lasts: the first seconds, in which code is compiled and the heap grows, are
// left out.
//
//   npm run bench -- audio [streams …] [--max-delay-ms=…]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LiveKitServer } from '../scripts/livekit.mjs'
import { median, quantile, report, table } from './lib.mjs'

/** Of rtc-node's CPU time per frame, by streams. */
const CPU_BARS = { 20: 1 / 5, 50: 1 / 9 }
/** Milliseconds more than rtc-node's delay, by quantile. */
const DELAY_BARS = { 0.5: 3, 0.95: 10 }
const ROUNDS = 3
const WINDOW_MS = 8_000
const SETTLE_MS = 10_000
const counts = process.argv.slice(2).map(Number).filter(Boolean)
const maxDelayMs = process.argv.find((each) => each.startsWith('--max-delay-ms='))?.split('=')[1]

async function start(file, args) {
  const child = fork(join(import.meta.dirname, 'audio', file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${file} ended with ${code}`)))
  await Promise.race([once(child, 'message'), ended])
  ended.catch(() => {})
  return child
}

async function ask(child, question) {
  child.send(question)
  const [answer] = await once(child, 'message')
  return answer
}

async function stop(child) {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

/** Milliseconds from each burst's capture to its arrival. */
function delays(captures, bursts) {
  return bursts.flatMap(([name, at]) => {
    const captured = captures.filter(([each, time]) => each === name && time < at).at(-1)
    return captured === undefined ? [] : [at - captured[1]]
  })
}

async function received(server, publisher, room, library, streams) {
  const token = await server.token(`${library}-${process.hrtime.bigint()}`, room, { canPublish: false })
  const given = [library, server.url, token, String(streams)]
  const child = await start('receiver.mjs', maxDelayMs === undefined ? given : [...given, maxDelayMs])
  await delay(SETTLE_MS)
  const result = await ask(child, { ms: WINDOW_MS })
  await stop(child)
  result.delays = delays(await ask(publisher, {}), result.bursts)
  if (result.perSecond < streams * 90) {
    process.stderr.write(
      `${library}: ${result.perSecond.toFixed(0)} frames/s of ${streams * 100}: the machine is short\n`,
    )
  }
  return result
}

async function measure(server, streams) {
  const room = `audio-${streams}`
  const publisher = await start('publisher.mjs', [server.url, await server.token('publisher', room), String(streams)])
  const results = { roomhook: [], 'rtc-node': [] }
  for (let round = 0; round < ROUNDS; round++) {
    const order = Object.keys(results)
    if (round % 2 === 1) order.reverse()
    for (const library of order) results[library].push(await received(server, publisher, room, library, streams))
  }
  await stop(publisher)
  return results
}

const perFrame = (results) => median(results.map(({ threadUs, frames }) => threadUs / frames))
const delayOf = (results, share) => median(results.map(({ delays }) => quantile(delays, share)))

const rows = []
const figures = []
const server = await LiveKitServer.start()
for (const streams of counts.length > 0 ? counts : [1, 20, 50]) {
  const results = await measure(server, streams)
  for (const [library, list] of Object.entries(results)) {
    rows.push([
      `${streams} streams, ${library}`,
      perFrame(list),
      median(list.map(({ threadUs }) => threadUs / WINDOW_MS / 10)),
      median(list.map(({ processUs, frames }) => processUs / frames)),
      median(list.map(({ perSecond }) => perSecond / streams)),
      delayOf(list, 0.5),
      delayOf(list, 0.95),
    ])
  }
  const [ours, theirs] = [perFrame(results.roomhook), perFrame(results['rtc-node'])]
  const bar = CPU_BARS[streams]
  figures.push({
    name: `${streams} streams`,
    unit: 'µs of the JavaScript thread per frame',
    ours,
    peers: { 'rtc-node': theirs },
    ratio: ours / theirs,
    bar,
    ok: bar === undefined || ours / theirs <= bar,
  })
  for (const [share, bar] of Object.entries(DELAY_BARS)) {
    const [ours, theirs] = [delayOf(results.roomhook, share), delayOf(results['rtc-node'], share)]
    figures.push({
      name: `${streams} streams, delay p${share * 100}`,
      unit: 'ms from captureFrame to the frame; the bar is how much more than rtc-node',
      ours,
      peers: { 'rtc-node': theirs },
      ratio: ours / theirs,
      bar,
      ok: ours - theirs <= bar,
    })
  }
}
await server[Symbol.asyncDispose]()
table(
  `received audio, ${ROUNDS} alternating windows of ${WINDOW_MS / 1_000} s, medians`,
  [
    '',
    'µs/frame, JS thread',
    '% of a core, JS thread',
    'µs/frame, process',
    'frames/s a stream',
    'delay p50',
    'p95, ms',
  ],
  rows,
)
report('audio', figures)
process.exit(0)
