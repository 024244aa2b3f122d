// An agent that answers the data messages of its room through the AI SDK (6 or 7) and LiveKit Inference. Every model
// request says which room, job and agent it is for, and who asked. A tool tells the model who else is there.

import type { AddressInfo } from 'node:net'
import { jsonSchema, type ModelMessage, stepCountIs, streamText, tool } from 'ai'
import express from 'express'
import { createAgent, type JoinedRoom, type RemoteParticipant } from 'roomhook'
import { livekit } from 'roomhook/ai'
import { createHeaderHooks } from 'roomhook/inference'

const model = livekit(process.env.MODEL ?? 'openai/gpt-5-mini')

// Who asked is personal: it is shared because of `shareSender`, and with LiveKit's gateway only.
const hooks = createHeaderHooks({ shareSender: { providers: ['livekit'] } })
hooks.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender-Id': senderId } }))

const agent = createAgent({
  secrets: process.env.LIVEKIT_WEBHOOK_SECRET,
  entry: async (job) => {
    const room = await job.connect()
    const conversations = new Map<string, ModelMessage[]>()
    room.on('dataReceived', async (payload, participant, _kind, topic) => {
      if (topic !== 'chat' || participant === undefined) return
      const messages = conversations.get(participant.identity) ?? []
      conversations.set(participant.identity, messages)
      messages.push({ role: 'user', content: new TextDecoder().decode(payload) })
      await answer(room, participant, messages, job.signal)
    })
    await room.closed
  },
})

/** Streams the answer to the one who asked: a data message for each piece, and an empty one at its end. */
async function answer(
  room: JoinedRoom,
  participant: RemoteParticipant,
  messages: ModelMessage[],
  abortSignal: AbortSignal,
): Promise<void> {
  const say = (text: string) =>
    room.localParticipant.publishData(new TextEncoder().encode(text), {
      reliable: true,
      topic: 'answer',
      destination_identities: [participant.identity],
    })
  const senderId = participant.identity
  // The turn ends as soon as the stream is made; what the stream does later still carries the turn's headers.
  const result = await hooks.turn({ senderId, provider: 'livekit', modelId: model.modelId }, () =>
    streamText({
      model,
      messages,
      tools: { listParticipants: listParticipants(room) },
      stopWhen: stepCountIs(4),
      abortSignal,
    }),
  )
  for await (const text of result.textStream) await say(text)
  messages.push(...(await result.response).messages)
  await say('')
}

function listParticipants(room: JoinedRoom) {
  return tool({
    description: 'The names of everybody in the room',
    inputSchema: jsonSchema<Record<string, never>>({ type: 'object', properties: {}, additionalProperties: false }),
    execute: async () => [...room.remoteParticipants.values()].map(({ name, identity }) => name || identity),
  })
}

const app = express().post('/livekit/agent', agent.express())
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})

process.once('SIGTERM', async () => {
  server.close()
  await agent.close()
})
