// The side that makes the load: joins with roomhook and publishes as many tones as asked, until it is told to end.

import { AudioFrame, AudioSource, LocalAudioTrack, Room } from '../../dist/index.js'

const RATE = 48_000
const [url, token, streams] = process.argv.slice(2)

async function play(source, frequency) {
  const period = new Int16Array(RATE / 10)
  for (let at = 0; at < period.length; at++) {
    period[at] = 8_000 * Math.sin((2 * Math.PI * frequency * at) / RATE)
  }
  for (;;) await source.captureFrame(new AudioFrame(period, RATE, 1, period.length))
}

const room = new Room()
await room.connect(url, token, { autoSubscribe: false })
for (let number = 0; number < Number(streams); number++) {
  const source = new AudioSource(RATE, 1)
  const track = LocalAudioTrack.createAudioTrack(`tone ${number}`, source)
  await room.localParticipant.publishTrack(track, { dtx: false, red: false })
  void play(source, 200 + 10 * number)
}
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
