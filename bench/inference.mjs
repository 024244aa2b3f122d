// What our transports add to one request: inferenceFetch over the bare fetch, withHeaders and the provider over the bare
// @ai-sdk/openai-compatible, all against one local gateway that streams, with 50 requests in flight; and what one audio
// message of 20 ms costs the JavaScript thread on inferenceSocket and on ws, in each direction. Each comparison runs in
// several processes, one after the other, and the middle one counts: how a process happens to lay out its code and heap
// shifts both figures by more than we add.
//
//   npm run bench -- inference [http | sockets]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { digits, median, report, table } from './lib.mjs'

const PROCESSES = 5
const folder = join(import.meta.dirname, 'inference')

const gateway = fork(join(folder, 'gateway.mjs'), { stdio: 'inherit' })
const [{ port }] = await once(gateway, 'message')
const baseURL = `http://127.0.0.1:${port}/v1`

/** Runs a comparison in fresh processes: the medians over them, and the ratios of all. */
async function compare(file, ...args) {
  const results = []
  for (let at = 0; at < PROCESSES; at++) {
    const child = fork(join(folder, file), [baseURL, ...args], { stdio: 'inherit' })
    const ended = once(child, 'exit')
    const result = await Promise.race([once(child, 'message'), ended])
    if (typeof result[0] !== 'object') throw new Error(`${file} ended with ${result[0]}`)
    results.push(result[0])
    await ended
  }
  const middle = (name) => median(results.map((result) => result[name]))
  const ratios = results.map(({ ratio }) => Number(ratio.toFixed(3))).sort((a, b) => a - b)
  const { latency } = results[0]
  return {
    ours: middle('ours'),
    theirs: middle('theirs'),
    ratio: middle('ratio'),
    ratios,
    ...(latency === undefined ? {} : { latency: middle('latency') }),
  }
}

const spread = (ratios) => `${digits(ratios[0])} … ${digits(ratios.at(-1))}`

async function http() {
  const rows = []
  const figures = []
  for (const [name, peer] of [
    ['inferenceFetch', 'fetch'],
    ['withHeaders', '@ai-sdk/openai-compatible'],
    ['provider', '@ai-sdk/openai-compatible'],
  ]) {
    const { ours, theirs, ratio, ratios, latency } = await compare('requests.mjs', name, peer)
    rows.push([name, ours, theirs, ratio, spread(ratios), latency])
    figures.push({
      name: `${name} CPU`,
      unit: 'us/request',
      ours,
      peers: { [peer]: theirs },
      ratio,
      bar: '<= 1.1',
      ok: ratio <= 1.1,
      ratios,
      latency_ratio: Number(latency.toPrecision(4)),
    })
  }
  const columns = ['through', 'CPU µs', 'bare µs', '× bare', 'least … most', 'latency × bare']
  table(`One streamed answer, 50 in flight, medians of ${PROCESSES} processes`, columns, rows)
  return figures
}

async function sockets() {
  const rows = []
  const figures = []
  for (const direction of ['sent', 'received']) {
    const { ours, theirs, ratio, ratios } = await compare('sockets.mjs', direction)
    rows.push([direction, ours, theirs, ratio, spread(ratios)])
    figures.push({
      name: `audio message ${direction}`,
      unit: 'us/message',
      ours,
      peers: { ws: theirs },
      ratio,
      bar: '<= 1',
      ok: ratio <= 1,
      ratios,
    })
  }
  const columns = ['message', 'inferenceSocket µs', 'ws µs', 'ratio', 'least … most']
  table(
    `JavaScript-thread CPU of one 20 ms audio message, 20 sockets, medians of ${PROCESSES} processes`,
    columns,
    rows,
  )
  return figures
}

const only = process.argv[2]
const figures = []
if (only !== 'sockets') figures.push(...(await http()))
if (only !== 'http') figures.push(...(await sockets()))
gateway.disconnect()
report('inference', figures)
