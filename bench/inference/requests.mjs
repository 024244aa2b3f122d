// One of our transports next to its peer, in a process of its own: CPU and latency of one streamed answer, 50 in flight,
// in short samples of the two, one right after the other. Answers the medians. Started by ../inference.mjs.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { livekit, withHeaders } from '../../dist/ai.js'
import { inferenceFetch } from '../../dist/inference.js'
import { alternate, median, pairedRatio } from '../lib.mjs'
import { baseURL, keys, rest } from './context.mjs'

const IN_FLIGHT = 50
const REQUESTS = 200
const ROUNDS = 41
const [name, peer] = rest

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
const [wrapped, provider] = [withHeaders(bare), livekit(keys)('m')]
const url = `${baseURL}/chat/completions`

async function drain(stream) {
  const reader = stream.getReader()
  while (!(await reader.read()).done);
}

const requests = {
  fetch: async () => drain((await fetch(url, init)).body),
  inferenceFetch: async () => drain((await ours(url, dressed)).body),
  '@ai-sdk/openai-compatible': async () => drain((await bare.doStream({ prompt })).stream),
  withHeaders: async () => drain((await wrapped.doStream({ prompt })).stream),
  provider: async () => drain((await provider.doStream({ prompt })).stream),
}

/**
 * CPU of this process (the gateway is another one) and the median latency for REQUESTS requests, IN_FLIGHT at a time, in
 * microseconds. The garbage of the sample before is not this one's.
 */
async function load(request) {
  globalThis.gc()
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

const latency = { [name]: [], [peer]: [] }
const sample = (who) => async (round) => {
  const { cpu, latency: middle } = await load(requests[who])
  if (round >= 0) latency[who].push(middle)
  return cpu
}
const cpu = await alternate({ [name]: sample(name), [peer]: sample(peer) }, { rounds: ROUNDS, warmup: 10 })
process.send({
  ours: median(cpu[name]),
  theirs: median(cpu[peer]),
  ratio: pairedRatio(cpu[name], cpu[peer]),
  latency: pairedRatio(latency[name], latency[peer]),
})
process.disconnect()
