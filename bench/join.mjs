// From an accepted job to a connected room: `connect` with a token in hand until it resolves. roomhook and rtc-node, each
// in a process of its own that is already running, take turns on the same server; each join is in a room of its own.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { LiveKitServer } from '../scripts/livekit.mjs'
import { alternate, median, pairedRatio, quantile, report, table } from './lib.mjs'

const BAR = 1.1
const ROUNDS = 40
const LIBRARIES = ['roomhook', 'rtc-node']

async function start(library) {
  const child = fork(join(import.meta.dirname, 'join', 'joiner.mjs'), [library], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  await once(child, 'message')
  return child
}

const server = await LiveKitServer.start()
const children = Object.fromEntries(await Promise.all(LIBRARIES.map(async (name) => [name, await start(name)])))

async function joined(library, round) {
  const child = children[library]
  const answer = once(child, 'message')
  const room = `join-${library}-${round}`
  child.send({ url: server.url, token: await server.token('agent', room) })
  const [{ ms }] = await answer
  return ms
}

const candidates = Object.fromEntries(LIBRARIES.map((name) => [name, (round) => joined(name, round)]))
const samples = await alternate(candidates, { rounds: ROUNDS, warmup: 3 })
for (const child of Object.values(children)) {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}
await server[Symbol.asyncDispose]()

const p95 = (list) => quantile(list, 0.95)
table(
  `accepted → connected, ${ROUNDS} joins each, taking turns`,
  ['ms', 'median', 'p95', 'fastest'],
  LIBRARIES.map((name) => [name, median(samples[name]), p95(samples[name]), Math.min(...samples[name])]),
)
const figure = (name, value) => {
  const [ours, theirs] = LIBRARIES.map((library) => value(samples[library]))
  const ratio = name === 'median' ? pairedRatio(samples.roomhook, samples['rtc-node']) : ours / theirs
  return { name, unit: 'ms', ours, peers: { 'rtc-node': theirs }, ratio, bar: BAR, ok: ratio <= BAR }
}
report('join', [figure('median', median), figure('p95', p95)])
