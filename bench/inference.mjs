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
import { alternate, median, pairedRatio, report, table } from './lib.mjs'

const IN_FLIGHT = 50
const REQUESTS = 500
const ROUNDS = 31
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

/** CPU of the whole process and the median latency for REQUESTS requests, IN_FLIGHT at a time, in microseconds. */
async function load(request) {
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

async function http() {
  const url = `${baseURL}/chat/completions`
  const candidates = {
    fetch: async () => drain((await fetch(url, init)).body),
    inferenceFetch: async () => drain((await ours(url, dressed)).body),
    model: async () => drain((await bare.doStream({ prompt })).stream),
    withHeaders: async () => drain((await providers.wrapped.doStream({ prompt })).stream),
    provider: async () => drain((await providers.provider.doStream({ prompt })).stream),
  }
  const latency = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]))
  const measured = Object.entries(candidates).map(([name, request]) => [
    name,
    async (round) => {
      const sample = await load(request)
      if (round >= 0) latency[name].push(sample.latency)
      return sample.cpu
    },
  ])
  const cpu = await alternate(Object.fromEntries(measured), { rounds: ROUNDS, warmup: 3 })
  const peers = { inferenceFetch: 'fetch', withHeaders: 'model', provider: 'model' }
  const rows = Object.keys(candidates).map((name) => {
    const peer = peers[name]
    const ratio = (samples) => (peer === undefined ? '–' : pairedRatio(samples[name], samples[peer]))
    return [name, median(cpu[name]), ratio(cpu), median(latency[name]), ratio(latency)]
  })
  table(`One streamed answer, ${IN_FLIGHT} in flight`, ['through', 'CPU µs', '× bare', 'latency µs', '× bare'], rows)
  return Object.entries(peers).map(([name, peer]) => {
    const ratio = pairedRatio(cpu[name], cpu[peer])
    return {
      name: `${name} CPU`,
      unit: 'us/request',
      ours: median(cpu[name]),
      peers: { [peer === 'model' ? '@ai-sdk/openai-compatible' : 'fetch']: median(cpu[peer]) },
      ratio,
      bar: '<= 1.05',
      ok: ratio <= 1.05,
      latency_ratio: Number(pairedRatio(latency[name], latency[peer]).toPrecision(4)),
    }
  })
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
const url = baseURL.replace('http', 'ws')

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
    const socket = new WebSocket(`${url}/${service}`, { perMessageDeflate: false })
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
