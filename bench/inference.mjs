// What our transports add to one request: inferenceFetch over the bare fetch, withHeaders and the provider over the bare
// @ai-sdk/openai-compatible, all against one local gateway that streams, with 50 requests in flight; and what one audio message of
// 20 ms costs the JavaScript thread on inferenceSocket and on ws, in each direction.
//
//   npm run bench -- inference [http | sockets]

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { WebSocket } from 'ws'
import { livekit, withHeaders } from '../dist/ai.js'
import { inferenceFetch, inferenceSocket } from '../dist/index.js'
import { setCurrentJobLookup } from '../dist/inference/metadata.js'
import { alternate, median, pairedRatio, quantile, report, table } from './lib.mjs'

const IN_FLIGHT = 50
const REQUESTS = 200
const ROUNDS = 81
const SOCKETS = 20
const SOCKET_MS = 2000
const SOCKET_ROUNDS = 7

const gateway = fork(join(import.meta.dirname, 'lib-inference-server.mjs'), { stdio: 'inherit' })
const [{ port }] = await once(gateway, 'message')
const baseURL = `http://127.0.0.1:${port}/v1`
const keys = { baseURL, apiKey: 'key', apiSecret: 'secret-of-at-least-thirty-two-bytes' }
const job = {
  id: 'AJ_bench',
  room: { sid: 'RM_bench' },
  liveRoom: { isConnected: true, localParticipant: { sid: 'PA_bench' } },
}
setCurrentJobLookup(() => job)

// A turn of a conversation as a voice agent has it: instructions, some history, a streamed answer.
const text = (words) => Array.from({ length: words }, (_, at) => `word${at}`).join(' ')
const history = Array.from({ length: 8 }, (_, at) => ({ role: at % 2 ? 'assistant' : 'user', content: text(40) }))
const messages = [{ role: 'system', content: text(150) }, ...history, { role: 'user', content: text(20) }]
const body = JSON.stringify({ model: 'm', stream: true, messages })
const init = { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: 'Bearer token' }, body }
const dressed = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }
const prompt = messages.map(({ role, content }) => ({
  role,
  content: role === 'system' ? content : [{ type: 'text', text: content }],
}))
const bare = createOpenAICompatible({ name: 'bare', baseURL, apiKey: 'token' })('m')
const ours = inferenceFetch(keys)
const providers = { wrapped: withHeaders(bare), provider: livekit(keys)('m') }

/**
 * CPU of this process (the gateway is another one) and the median latency for REQUESTS requests, IN_FLIGHT at a time, in
 * microseconds. The garbage of the sample before is not this one's.
 */
async function load(request) {
  globalThis.gc?.()
  const latencies = []
  let left = REQUESTS
  const began = process.cpuUsage()
  const worker = async () => {
    while (left-- > 0) {
      const started = performance.now()
      await request()
      latencies.push((performance.now() - started) * 1000)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  const { user, system } = process.cpuUsage(began)
  return { cpu: (user + system) / REQUESTS, latency: median(latencies) }
}

async function drain(stream) {
  const reader = stream.getReader()
  while (!(await reader.read()).done);
}

const url = `${baseURL}/chat/completions`
const requests = {
  fetch: async () => drain((await fetch(url, init)).body),
  inferenceFetch: async () => drain((await ours(url, dressed)).body),
  model: async () => drain((await bare.doStream({ prompt })).stream),
  withHeaders: async () => drain((await providers.wrapped.doStream({ prompt })).stream),
  provider: async () => drain((await providers.provider.doStream({ prompt })).stream),
}

/** Short samples of the two, one right after the other, who is first changing each round. */
async function compare(name, peer) {
  const latency = { [name]: [], [peer]: [] }
  const sample = (who) => async (round) => {
    const { cpu, latency: middle } = await load(requests[who])
    if (round >= 0) latency[who].push(middle)
    return cpu
  }
  const cpu = await alternate({ [name]: sample(name), [peer]: sample(peer) }, { rounds: ROUNDS, warmup: 5 })
  const ratios = cpu[name].map((value, round) => value / cpu[peer][round])
  return {
    ours: median(cpu[name]),
    theirs: median(cpu[peer]),
    ratio: pairedRatio(cpu[name], cpu[peer]),
    // Half of the rounds lie between these: how much the machine's noise weighs.
    quartiles: [0.25, 0.75].map((q) => Number(quantile(ratios, q).toFixed(3))),
    latency: pairedRatio(latency[name], latency[peer]),
  }
}

async function http() {
  const rows = []
  const figures = []
  for (const [name, peer] of [
    ['inferenceFetch', 'fetch'],
    ['withHeaders', 'model'],
    ['provider', 'model'],
  ]) {
    const { ours, theirs, ratio, quartiles, latency } = await compare(name, peer)
    rows.push([name, ours, theirs, ratio, quartiles.join(' … '), latency])
    figures.push({
      name: `${name} CPU`,
      unit: 'us/request',
      ours,
      peers: { [peer === 'model' ? '@ai-sdk/openai-compatible' : 'fetch']: theirs },
      ratio,
      bar: '<= 1.05',
      ok: ratio <= 1.05,
      quartiles,
      latency_ratio: Number(latency.toPrecision(4)),
    })
  }
  const columns = ['through', 'CPU µs', 'bare µs', '× bare', 'quartiles', 'latency × bare']
  table(`One streamed answer, ${IN_FLIGHT} in flight, ${ROUNDS} rounds of ${REQUESTS} requests`, columns, rows)
  return figures
}

/** CPU time of the JavaScript thread so far, in microseconds; of all threads where Linux does not say. */
function threadCpu() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1000
  } catch {
    const { user, system } = process.cpuUsage()
    return user + system
  }
}

const audio = JSON.stringify({ type: 'input_audio', audio: Buffer.alloc(960, 7).toString('base64') })
const socketURL = baseURL.replace('http', 'ws')

const transports = {
  async ours(service, onMessage) {
    const socket = await inferenceSocket({ ...keys, service })
    const reading = (async () => {
      for await (const message of socket) onMessage(message)
    })()
    return {
      send: () => socket.send(audio),
      close: async () => {
        await socket.close()
        await reading
      },
    }
  },
  async ws(service, onMessage) {
    const socket = new WebSocket(`${socketURL}/${service}`, { perMessageDeflate: false })
    socket.on('message', (data) => onMessage(data.toString()))
    await once(socket, 'open')
    return {
      send: () => socket.send(audio),
      close: async () => {
        socket.close()
        await once(socket, 'close')
      },
    }
  },
}

/** Microseconds of the JavaScript thread for one message: SOCKETS sockets, 50 messages a second each, for SOCKET_MS. */
async function perMessage(transport, direction) {
  let messages = 0
  const service = direction === 'sent' ? 'stt' : 'tts'
  const onMessage = (text) => {
    if (typeof text === 'string') messages += 1
  }
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => transports[transport](service, onMessage)))
  messages = 0
  const began = threadCpu()
  const started = performance.now()
  let sent = 0
  // Both transports share this timer, so its cost is in both figures.
  const timer = setInterval(() => {
    if (direction !== 'sent') return
    const due = ((performance.now() - started) / 20) * SOCKETS
    for (; sent < due; sent++) sockets[sent % SOCKETS].send()
  }, 1)
  await new Promise((resolve) => setTimeout(resolve, SOCKET_MS))
  clearInterval(timer)
  const used = threadCpu() - began
  const count = direction === 'sent' ? sent : messages
  await Promise.all(sockets.map(({ close }) => close()))
  return used / count
}

async function sockets() {
  const rows = []
  const figures = []
  for (const direction of ['sent', 'received']) {
    const candidates = { ours: () => perMessage('ours', direction), ws: () => perMessage('ws', direction) }
    const samples = await alternate(candidates, { rounds: SOCKET_ROUNDS, warmup: 1 })
    const ratio = pairedRatio(samples.ours, samples.ws)
    const [mine, theirs] = [median(samples.ours), median(samples.ws)]
    rows.push([direction, mine, theirs, ratio])
    const ok = ratio <= 1
    figures.push({
      name: `audio message ${direction}`,
      unit: 'us/message',
      ours: mine,
      peers: { ws: theirs },
      ratio,
      bar: '<= 1',
      ok,
    })
  }
  table(
    `JavaScript-thread CPU of one 20 ms audio message, ${SOCKETS} sockets`,
    ['message', 'inferenceSocket µs', 'ws µs', 'ratio'],
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
