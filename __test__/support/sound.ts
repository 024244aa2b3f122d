// Tones for our side of a room: playing one, and measuring what is heard.

import { AudioFrame } from '../../ts/room/audio-frame.js'
import { AudioSource } from '../../ts/room/audio-source.js'
import type { AudioStream } from '../../ts/room/audio-stream.js'
import { TrackSource } from '../../ts/room/enums.js'
import type { LocalTrackPublication } from '../../ts/room/publication.js'
import type { Room } from '../../ts/room/room.js'
import { LocalAudioTrack } from '../../ts/room/track.js'

/** A tone that is being played into a room. */
export interface Tone extends AsyncDisposable {
  source: AudioSource
  track: LocalAudioTrack
  publication: LocalTrackPublication
}

/** Publishes a microphone track and plays a sine wave into it until it is disposed. */
export async function playTone(room: Room, frequency: number, peak: number, sampleRate = 48_000): Promise<Tone> {
  const source = new AudioSource(sampleRate, 1, 200)
  const track = LocalAudioTrack.createAudioTrack('tone', source)
  const publication = await room.localParticipant?.publishTrack(track, { source: TrackSource.SOURCE_MICROPHONE })
  if (publication === undefined) throw new Error('the room is not joined')
  let stopped = false
  let phase = 0
  const play = async (): Promise<void> => {
    while (!stopped) {
      const frame = AudioFrame.create(sampleRate, 1, sampleRate / 50)
      for (let at = 0; at < frame.data.length; at++) {
        frame.data[at] = Math.round(peak * Math.sin(phase))
        phase += (2 * Math.PI * frequency) / sampleRate
      }
      await source.captureFrame(frame)
    }
  }
  const playing = play().catch((error) => {
    // The track was unpublished, or the room left.
    if (error.code !== 'CLOSED' && error.code !== 'ROOM_DISCONNECTED') throw error
  })
  return {
    source,
    track,
    publication,
    async [Symbol.asyncDispose]() {
      stopped = true
      await playing
      await source.close()
    },
  }
}

/** What was heard: Hz by zero crossings, and root mean square of 16-bit samples, over half a second. */
export interface Sound {
  frequency: number
  rms: number
}

/** The level of the tones that tests play, sine waves with a peak of 8000. */
const LEVEL = 8_000 / Math.SQRT2

/** Whether a sound is such a tone, within what Opus and its resampling keep: 2 % of the frequency, 15 % of the level. */
export function isTone(sound: Sound, frequency: number): boolean {
  const [pitch, level] = [sound.frequency / frequency, sound.rms / LEVEL]
  return pitch > 0.98 && pitch < 1.02 && level > 0.85 && level < 1.15
}

/**
 * Reads a stream until half a second of it is this tone. On a busy machine packets come late, and what the library plays
 * in their place is no measure of us: such halves are heard and passed over, until 15 s of audio have gone by.
 */
export async function hear(stream: AudioStream, frequency: number): Promise<void> {
  let sound: Sound | undefined
  let recent: Int16Array[] = []
  let samples = 0
  let halves = 0
  for await (const frame of stream.values({ preventCancel: true })) {
    recent.push(frame.data.slice())
    samples += frame.samplesPerChannel
    if (samples < frame.sampleRate / 2) continue
    sound = measure(recent, frame.sampleRate)
    if (isTone(sound, frequency)) return
    if (++halves === 30) break
    recent = []
    samples = 0
  }
  throw new Error(`expected a tone of ${frequency} Hz, heard ${JSON.stringify(sound ?? 'nothing')}`)
}

function measure(frames: Int16Array[], sampleRate: number): Sound {
  let crossings = 0
  let power = 0
  let count = 0
  let last = 0
  for (const data of frames) {
    for (const sample of data) {
      if (last < 0 && sample >= 0) crossings += 1
      power += sample * sample
      count += 1
      last = sample
    }
  }
  return { frequency: (crossings * sampleRate) / count, rms: Math.sqrt(power / count) }
}
