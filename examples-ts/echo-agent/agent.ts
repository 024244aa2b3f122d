// An echo agent as an Express app. It joins the room it is called to, says back what it hears, answers "ping" with
// "pong", and is done when the caller says "bye" or leaves. With DEMO=1 it prints each step as a line of JSON.

import type { AddressInfo } from 'node:net'
import express from 'express'
import {
  AudioSource,
  AudioStream,
  createAgent,
  LocalAudioTrack,
  type RemoteTrack,
  type Room,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from 'roomhook'

const RATE = 48_000

const agent = createAgent({
  secrets: process.env.LIVEKIT_WEBHOOK_SECRET,
  request: (request) => {
    tell('verified')
    request.accept({ metadata: '{"role":"echo"}' })
  },
  entry: async (job) => {
    const { room } = job
    room.on('trackSubscribed', async (track) => {
      if (track.kind === TrackKind.KIND_AUDIO) await echo(track, room)
    })
    room.on('dataReceived', async (payload, _participant, _kind, topic) => {
      const text = new TextDecoder().decode(payload)
      tell('dataReceived')
      if (text === 'ping') {
        const pong = new TextEncoder().encode('pong')
        await room.localParticipant?.publishData(pong, { reliable: true, topic })
      }
      if (text === 'bye') job.complete()
    })
    room.on('participantDisconnected', () => {
      if (room.remoteParticipants.size === 0) job.complete()
    })
    await job.connect()
    tell('connected')
    await room.closed // when entry returns, the job is done: JS_SUCCESS
  },
})

async function echo(track: RemoteTrack, room: Room): Promise<void> {
  const source = new AudioSource(RATE, 1)
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE })
  await room.localParticipant?.publishTrack(LocalAudioTrack.createAudioTrack('echo', source), options)
  try {
    for await (const frame of new AudioStream(track, RATE, 1)) {
      tell('firstFrame')
      await source.captureFrame(frame)
    }
  } catch (error) {
    if (room.isConnected) throw error
  } finally {
    await source.close()
  }
}

const told = new Set<string>()

function tell(step: string): void {
  if (process.env.DEMO !== '1' || told.has(step)) return
  told.add(step)
  console.log(JSON.stringify({ step, at: performance.timeOrigin + performance.now() }))
}

const app = express().post('/livekit/agent', agent.express())
const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})

// Calls end by themselves, within the grace period of a deploy; what still runs then is ended.
process.once('SIGTERM', async () => {
  await agent.drain({ timeoutMs: Number(process.env.DRAIN_MS ?? 10_000) })
  server.close()
})
