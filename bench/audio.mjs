// CPU time of the JavaScript thread per received 10 ms frame, at 20 and 50 streams over a real room: roomhook and
// rtc-node, each in a process of its own, one after the other on the same server and publishers. It measures what lasts:
// the first seconds, in which code is compiled and the heap grows, are left out.
//
//   npm run bench -- audio [streams …] [--max-delay-ms=10]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LiveKitServer } from '../scripts/livekit.mjs'
import { median, report, table } from './lib.mjs'

const BAR = 1 / 20
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

async function stop(child) {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}

async function received(server, room, library, streams) {
  const token = await server.token(`${library}-${process.hrtime.bigint()}`, room, { canPublish: false })
  const given = [library, server.url, token, String(streams)]
  const child = await start('receiver.mjs', maxDelayMs === undefined ? given : [...given, maxDelayMs])
  await delay(SETTLE_MS)
  child.send({ ms: WINDOW_MS })
  const [result] = await once(child, 'message')
  await stop(child)
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
    for (const library of order) results[library].push(await received(server, room, library, streams))
  }
  await stop(publisher)
  return results
}

const perFrame = (results) => median(results.map(({ threadUs, frames }) => threadUs / frames))

const rows = []
const figures = []
const server = await LiveKitServer.start()
for (const streams of counts.length > 0 ? counts : [20, 50]) {
  const results = await measure(server, streams)
  const [ours, theirs] = [perFrame(results.roomhook), perFrame(results['rtc-node'])]
  for (const [library, list] of Object.entries(results)) {
    rows.push([
      `${streams} streams, ${library}`,
      perFrame(list),
      median(list.map(({ threadUs }) => threadUs / WINDOW_MS / 10)),
      median(list.map(({ processUs, frames }) => processUs / frames)),
      median(list.map(({ perSecond }) => perSecond / streams)),
    ])
  }
  figures.push({
    name: `${streams} streams`,
    unit: 'µs of the JavaScript thread per frame',
    ours,
    peers: { 'rtc-node': theirs },
    ratio: ours / theirs,
    bar: BAR,
    ok: ours / theirs <= BAR,
  })
}
await server[Symbol.asyncDispose]()
table(
  `received audio, ${ROUNDS} alternating windows of ${WINDOW_MS / 1_000} s, medians`,
  ['', 'µs/frame, JS thread', '% of a core, JS thread', 'µs/frame, process', 'frames/s a stream'],
  rows,
)
report('audio', figures)
process.exit(0)
