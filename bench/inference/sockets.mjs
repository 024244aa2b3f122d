// What one audio message of 20 ms costs the JavaScript thread on inferenceSocket and on ws, in one direction, in a process
// of its own: the two take turns. Answers the medians. Started by ../inference.mjs.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'
import { inferenceSocket } from '../../dist/inference.js'
import { alternate, median, pairedRatio } from '../lib.mjs'
import { baseURL, keys, rest } from './context.mjs'

const SOCKETS = 20
const SAMPLE_MS = 2000
const ROUNDS = 5
const [direction] = rest
const service = direction === 'sent' ? 'stt' : 'tts'

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

const transports = {
  async ours(onMessage) {
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
  async ws(onMessage) {
    const socket = new WebSocket(`${baseURL.replace('http', 'ws')}/${service}`, { perMessageDeflate: false })
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

/** Microseconds of the JavaScript thread for one message: SOCKETS sockets, 50 messages a second each, for SAMPLE_MS. */
async function perMessage(open) {
  let messages = 0
  const onMessage = (text) => {
    if (typeof text === 'string') messages += 1
  }
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => open(onMessage)))
  globalThis.gc()
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
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
  clearInterval(timer)
  const used = threadCpu() - began
  const count = direction === 'sent' ? sent : messages
  await Promise.all(sockets.map(({ close }) => close()))
  return used / count
}

const candidates = { ours: () => perMessage(transports.ours), ws: () => perMessage(transports.ws) }
const samples = await alternate(candidates, { rounds: ROUNDS, warmup: 1 })
process.send({
  ours: median(samples.ours),
  theirs: median(samples.ws),
  ratio: pairedRatio(samples.ours, samples.ws),
})
process.disconnect()
