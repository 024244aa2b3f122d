// Three hooks that put headers on the model requests of a room's agent, for a gateway that reads them: a rate limit for
// each sender, an audit trail, and costs by team. No AI SDK here: requests are made with `inferenceFetch`.

import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createAgent } from 'roomhook'
import { createHeaderHooks, encodeHeaderValue, inferenceFetch } from 'roomhook/inference'

// The gateway sees keyed hashes of sender and session ids: the same for the same person, and no way back.
const byHash = createHeaderHooks({ shareSender: true, hashKey: process.env.SENDER_HASH_KEY ?? randomUUID() })

// 1. A rate limit for each sender: the gateway counts by this header.
byHash.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-RateLimit-Key': senderId } }), {
  plugin: 'rate-limit',
  priority: 20,
})

// 2. An audit trail: which turn of which conversation asked which model. A system turn has no sender, and says so.
byHash.on(
  'before_llm_request',
  ({ modelId }, { senderId, sessionKey, channel }) => ({
    headers: {
      'X-Audit-Turn': randomUUID(),
      'X-Audit-Session': sessionKey,
      'X-Audit-Source': senderId === undefined ? 'system' : channel,
      'X-Audit-Model': modelId,
    },
  }),
  { plugin: 'audit', priority: 10 },
)

// 3. Costs by team. The name may hold any character, a header may not: it is percent-encoded. A team's ledger may be slow
// or down; the request then goes out without the header, and the log says which plugin was late.
const ledger = async (agentName: string): Promise<string> => process.env[`TEAM_OF_${agentName}`] ?? 'Forschung & Lehre'
byHash.on(
  'before_llm_request',
  async (_event, { agentId }) => ({ headers: { 'X-Cost-Center': encodeHeaderValue(await ledger(agentId ?? '')) } }),
  { plugin: 'costs', timeoutMs: 500 },
)

const model = process.env.MODEL ?? 'openai/gpt-5-mini'
// Somebody waits for the answer, so one more attempt is enough.
const infer = inferenceFetch({ retry: { maxRetries: 1 } })

const BUSY = 'Please ask again in a minute.'

/** One turn may ask the model several times; the hooks run once. */
async function ask(question: string): Promise<string> {
  const draft = await complete(`Draft an answer: ${question}`)
  return draft === undefined ? BUSY : ((await complete(`Make this one sentence: ${draft}`)) ?? BUSY)
}

/** The model's words; undefined when the gateway still asks for fewer requests after a retry. */
async function complete(content: string): Promise<string | undefined> {
  const response = await infer('chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
  })
  if (response.status === 429) return undefined
  if (!response.ok) throw new Error(`the model answered HTTP ${response.status}`)
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
  return choices[0]?.message.content ?? ''
}

const agent = createAgent({
  secrets: process.env.LIVEKIT_WEBHOOK_SECRET,
  entry: async (job) => {
    const room = await job.connect()
    const say = (text: string) =>
      room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true, topic: 'answer' })
    const context = { agentId: job.info.agentName, sessionKey: job.info.room.sid, provider: 'livekit', modelId: model }
    room.on('dataReceived', async (payload, participant, _kind, topic) => {
      if (topic !== 'chat' || participant === undefined) return
      const turn = { ...context, senderId: participant.identity, channel: 'room' }
      await say(await byHash.turn(turn, () => ask(new TextDecoder().decode(payload))))
    })
    // A turn that nobody asked for.
    await say((await byHash.turn(context, () => complete('Greet the room.'))) ?? 'Hello.')
    await room.closed
  },
})

const app = express().post('/livekit/agent', agent.express())
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})

process.once('SIGTERM', async () => {
  server.close()
  await agent.close()
})
