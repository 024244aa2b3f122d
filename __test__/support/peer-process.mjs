// The second real participant: `@livekit/rtc-node` in a process of its own, driven over IPC by peer.ts.
// One request at a time is answered with `{id, result}` or `{id, error}`; room events arrive as `{event, …}`.

import {
  AudioFrame,
  AudioSource,
  AudioStream,
  dispose,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node'

const RATE = 48_000
let room = new Room()
let tone
const audio = new Map()

// The test may be gone by the time this is written; that is no error of the peer.
const tell = (event, facts = {}) => process.connected && process.send({ event, ...facts }, () => undefined)

function listen(target) {
  target
    .on(RoomEvent.ParticipantConnected, (participant) =>
      tell('participantConnected', { identity: participant.identity }),
    )
    .on(RoomEvent.ParticipantDisconnected, (participant) =>
      tell('participantDisconnected', { identity: participant.identity }),
    )
    .on(RoomEvent.TrackPublished, (publication, participant) =>
      tell('trackPublished', { sid: publication.sid, name: publication.name, identity: participant.identity }),
    )
    .on(RoomEvent.TrackUnpublished, (publication, participant) =>
      tell('trackUnpublished', { sid: publication.sid, identity: participant.identity }),
    )
    .on(RoomEvent.TrackMuted, (publication) => tell('trackMuted', { sid: publication.sid }))
    .on(RoomEvent.TrackUnmuted, (publication) => tell('trackUnmuted', { sid: publication.sid }))
    .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
      tell('trackSubscribed', { sid: publication.sid, identity: participant.identity })
      if (track.kind === TrackKind.KIND_AUDIO) void hear(track, participant.identity)
    })
    .on(RoomEvent.DataReceived, (payload, participant, kind, topic) =>
      tell('dataReceived', { text: new TextDecoder().decode(payload), identity: participant?.identity, kind, topic }),
    )
    .on(RoomEvent.ParticipantMetadataChanged, (metadata, participant) =>
      tell('participantMetadataChanged', {
        metadata: participant.metadata ?? metadata,
        identity: participant.identity,
      }),
    )
    .on(RoomEvent.ParticipantNameChanged, (name, participant) =>
      tell('participantNameChanged', { name, identity: participant.identity }),
    )
    .on(RoomEvent.ParticipantAttributesChanged, (changed, participant) =>
      tell('participantAttributesChanged', { changed, identity: participant.identity }),
    )
    .on(RoomEvent.Disconnected, (reason) => tell('disconnected', { reason }))
}

async function hear(track, identity) {
  const recent = []
  audio.set(identity, recent)
  tell('hearing', { identity })
  for await (const frame of new AudioStream(track, RATE, 1)) {
    recent.push(Int16Array.from(frame.data))
    if (recent.length > 200) recent.shift()
  }
}

const level = (samples) =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length))

// Frequency by zero crossings and level as root mean square, over the newest `frames` frames of 10 ms.
function measure(recent, frames) {
  const newest = recent.slice(-frames).map((frame) => Array.from(frame))
  const samples = newest.flat()
  const crossings = samples.reduce(
    (count, sample, i) => count + (i > 0 && samples[i - 1] < 0 && sample >= 0 ? 1 : 0),
    0,
  )
  return {
    frequency: (crossings * RATE) / Math.max(1, samples.length),
    rms: level(samples),
    frames: newest.length,
  }
}

async function playTone(source, frequency, peak, state) {
  let phase = 0
  while (!state.stopped) {
    const data = new Int16Array(RATE / 100)
    for (let i = 0; i < data.length; i++) {
      data[i] = Math.round(peak * Math.sin(phase))
      phase += (2 * Math.PI * frequency) / RATE
    }
    await source.captureFrame(new AudioFrame(data, RATE, 1, data.length))
  }
}

const commands = {
  async join({ url, token }) {
    room = new Room()
    listen(room)
    const began = performance.now()
    await room.connect(url, token, { autoSubscribe: true, dynacast: false })
    return { ms: performance.now() - began, identity: room.localParticipant.identity }
  },
  async publishTone({ frequency, peak, name = 'tone' }) {
    const source = new AudioSource(RATE, 1)
    const track = LocalAudioTrack.createAudioTrack(name, source)
    const options = new TrackPublishOptions()
    options.source = TrackSource.SOURCE_MICROPHONE
    const publication = await room.localParticipant.publishTrack(track, options)
    tone = { stopped: false, sid: publication.sid }
    tone.done = playTone(source, frequency, peak, tone).catch((error) => tell('toneFailed', { message: String(error) }))
    return { sid: publication.sid }
  },
  async unpublishTone() {
    tone.stopped = true
    await tone.done
    await room.localParticipant.unpublishTrack(tone.sid)
  },
  async publishData({ text, topic, reliable = true }) {
    await room.localParticipant.publishData(new TextEncoder().encode(text), { reliable, topic })
  },
  forget({ identity }) {
    audio.get(identity)?.splice(0)
  },
  measure({ identity, frames = 50 }) {
    return measure(audio.get(identity) ?? [], frames)
  },
  async updateMetadata({ metadata }) {
    await room.localParticipant.updateMetadata(metadata)
  },
  async updateName({ name }) {
    await room.localParticipant.updateName(name)
  },
  async setAttributes({ attributes }) {
    await room.localParticipant.setAttributes(attributes)
  },
  participants() {
    return [...room.remoteParticipants.values()].map((participant) => ({
      identity: participant.identity,
      name: participant.name,
      metadata: participant.metadata,
      attributes: participant.attributes,
      tracks: participant.trackPublications.size,
    }))
  },
  async leave() {
    if (tone) tone.stopped = true
    await tone?.done
    await room.disconnect()
  },
}

process.on('message', async ({ id, command, args }) => {
  try {
    process.send?.({ id, result: (await commands[command](args ?? {})) ?? null })
  } catch (error) {
    process.send?.({ id, error: String(error?.message ?? error) })
  }
})
process.on('disconnect', async () => {
  if (tone) tone.stopped = true
  await dispose()
  process.exit(0)
})
tell('ready')
