// The caller of the demo: a process of its own with `@livekit/rtc-node`. It joins when told to, plays a tone, listens for
// its echo, sends "ping" and waits for "pong", says "bye", and reports each step over IPC with the time it happened.

import {
  AudioFrame,
  AudioSource,
  AudioStream,
  dispose,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node'

const RATE = 48_000
const FRAME = RATE / 100
const TONE = { frequency: 440, peak: 8_000 }
const STEADY_FRAMES = 50
const AUDIBLE_RMS = 1_000

const now = () => performance.timeOrigin + performance.now()
const tell = (step, facts = {}) => process.connected && process.send({ step, at: now(), ...facts })
const rms = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)

function frequency(samples) {
  let crossings = 0
  for (let i = 1; i < samples.length; i++) if (samples[i - 1] < 0 && samples[i] >= 0) crossings += 1
  return (crossings * RATE) / samples.length
}

async function play(room, state) {
  const source = new AudioSource(RATE, 1)
  const options = new TrackPublishOptions()
  options.source = TrackSource.SOURCE_MICROPHONE
  await room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('caller', source), options)
  let phase = 0
  while (!state.over) {
    const data = new Int16Array(FRAME)
    for (let i = 0; i < FRAME; i++) {
      data[i] = Math.round(TONE.peak * Math.sin(phase))
      phase += (2 * Math.PI * TONE.frequency) / RATE
    }
    await source.captureFrame(new AudioFrame(data, RATE, 1, FRAME))
  }
}

// Resolves once a second of echo was heard without a gap. The second half is measured: in the first the receiver still
// stretches the sound to find its pace.
async function hearEcho(track) {
  let steady = []
  for await (const { data } of new AudioStream(track, RATE, 1)) {
    const frame = Array.from(data)
    steady = rms(frame) >= AUDIBLE_RMS ? [...steady, frame] : []
    if (steady.length === 1) tell('echoStarted')
    if (steady.length < 2 * STEADY_FRAMES) continue
    const samples = steady.slice(STEADY_FRAMES).flat()
    tell('echo', { frequency: frequency(samples), level: rms(samples), sent: TONE.peak / Math.SQRT2 })
    return
  }
}

const once = (room, event, test = () => true) =>
  new Promise((resolve) => {
    room.on(event, (...args) => test(...args) && resolve(args))
  })

async function call({ url, token, agent }) {
  const room = new Room()
  const echoTrack = once(room, RoomEvent.TrackSubscribed, (_track, _publication, who) => who.identity.startsWith(agent))
  const pong = once(room, RoomEvent.DataReceived, (payload) => new TextDecoder().decode(payload) === 'pong')
  const agentLeft = once(room, RoomEvent.ParticipantDisconnected, (who) => who.identity.startsWith(agent))
  await room.connect(url, token, { autoSubscribe: true, dynacast: false })
  tell('callerJoined')
  const state = { over: false }
  const playing = play(room, state)
  const [track] = await echoTrack
  await hearEcho(track)
  const sent = performance.now()
  await room.localParticipant.publishData(new TextEncoder().encode('ping'), { reliable: true, topic: 'demo' })
  await pong
  tell('pong', { roundTripMs: performance.now() - sent })
  await room.localParticipant.publishData(new TextEncoder().encode('bye'), { reliable: true, topic: 'demo' })
  await agentLeft
  state.over = true
  await playing
  await room.disconnect()
  await dispose()
}

process.on('message', (order) => {
  call(order).then(
    () => process.disconnect(),
    (error) => {
      tell('failed', { message: String(error?.message ?? error) })
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit())
tell('ready')
