// The side that makes the load: joins with roomhook and publishes as many tones as asked, until it is told to end. Once a
// second each tone has a burst; when it was captured is told on request, so that its delay can be measured.

import { AudioFrame, AudioSource, LocalAudioTrack, Room } from '../../dist/index.js'

const RATE = 48_000
const FRAME_MS = 20
const FRAMES_A_SECOND = 1_000 / FRAME_MS
const [url, token, streams] = process.argv.slice(2)
const captures = []

function frame(frequency, peak) {
  const samples = new Int16Array((RATE * FRAME_MS) / 1_000)
  for (let at = 0; at < samples.length; at++) samples[at] = peak * Math.sin((2 * Math.PI * frequency * at) / RATE)
  return new AudioFrame(samples, RATE, 1, samples.length)
}

async function play(name, source, number) {
  const tone = frame(200 + 50 * (number % 8), 800)
  const burst = frame(1_000, 16_000)
  // Spread over the second.
  for (let count = number; ; count++) {
    const loud = count % FRAMES_A_SECOND === 0
    if (loud) captures.push([name, Number(process.hrtime.bigint()) / 1e6])
    await source.captureFrame(loud ? burst : tone)
  }
}

const room = new Room()
await room.connect(url, token, { autoSubscribe: false })
for (let number = 0; number < Number(streams); number++) {
  const name = `tone ${number}`
  const source = new AudioSource(RATE, 1, 100)
  const track = LocalAudioTrack.createAudioTrack(name, source)
  await room.localParticipant.publishTrack(track, { dtx: false, red: false })
  void play(name, source, number)
}
process.on('message', () => process.send(captures.splice(0)))
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
