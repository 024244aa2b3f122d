// The speech sessions of the local gateway: /stt hears PCM and says what it was told to have heard, /tts turns every
// character into ten milliseconds of tone.

import type { ServerSocket } from './gateway-websocket.js'

/** A JSON message of a session. */
export interface SessionMessage {
  type: string
  [field: string]: unknown
}

/** What the transcriber claims to hear. */
export interface SttScript {
  transcript: string
  language?: string
  interim?: string[]
  words?: { word: string; start: number; end: number }[]
  /** An error instead of a final transcript. */
  error?: { message: string; code?: number }
  /** Close with this code instead of a final transcript. */
  closeInstead?: number
  /** Leave out the optional acknowledgements, as older gateways do. */
  silent?: boolean
  /** Messages word for word instead of a final transcript; then the socket is closed. */
  verbatim?: unknown[]
  /** Say nothing at all once the session is there. */
  mute?: boolean
}

/** How the voice behaves. */
export interface TtsScript {
  /** Messages word for word instead of the first audio; then the socket is closed. */
  verbatim?: unknown[]
  error?: { message: string }
  /** Cut the connection after so many messages with audio. */
  cutAfter?: number
  /** Wait for this before each message with audio but the first. */
  hold?: () => Promise<unknown>
}

/** What a session was sent, and what came out. */
export interface RecordedSession {
  create?: SessionMessage
  messages: SessionMessage[]
  /** Bytes of audio received (stt) or sent (tts). */
  audioBytes: number
  /** Text received (tts). */
  text: string
  /** Says one more thing to the client. */
  say?(message: SessionMessage): void
}

function say(socket: ServerSocket, message: SessionMessage): void {
  socket.send(JSON.stringify(message))
}

/** One /stt session's reaction to a message. */
export function sttSession(socket: ServerSocket, script: SttScript, session: RecordedSession) {
  let rate = 16_000
  session.say = (message) => say(socket, message)
  const interim = [...(script.interim ?? [])]
  return (message: SessionMessage): void => {
    session.messages.push(message)
    if (message.type === 'session.create') {
      session.create = message
      rate = Number((message.settings as { sample_rate?: string } | undefined)?.sample_rate ?? rate)
      say(socket, { type: 'session.created', session_id: 'stt_1' })
    } else if (message.type === 'input_audio') {
      session.audioBytes += Buffer.from(String(message.audio), 'base64').length
      const partial = interim.shift()
      if (partial !== undefined)
        say(socket, { type: 'interim_transcript', transcript: partial, start: 0, duration: 0.1 })
    } else if (message.type === 'session.finalize') {
      if (script.mute === true) return
      if (script.verbatim !== undefined) {
        for (const message of script.verbatim) socket.send(JSON.stringify(message))
        socket.close()
      } else if (script.closeInstead !== undefined) socket.close(script.closeInstead)
      else if (script.error !== undefined) say(socket, { type: 'error', ...script.error })
      else {
        say(socket, {
          type: 'final_transcript',
          session_id: 'stt_1',
          transcript: script.transcript,
          language: script.language ?? 'en',
          start: 0,
          duration: session.audioBytes / 2 / rate,
          confidence: 0.9,
          words: script.words ?? null,
        })
        if (script.silent !== true) say(socket, { type: 'session.finalized' })
      }
    } else if (message.type === 'session.close') {
      if (script.silent !== true) say(socket, { type: 'session.closed' })
      socket.close()
    }
  }
}

/** `characters` × 10 ms of a 440 Hz tone, 16-bit mono. */
export function tone(characters: number, rate: number): Buffer {
  const samples = Math.round((characters * rate) / 100)
  const pcm = Buffer.alloc(samples * 2)
  for (let i = 0; i < samples; i++) pcm.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / rate)), i * 2)
  return pcm
}

/** One /tts session's reaction to a message. */
export function ttsSession(socket: ServerSocket, script: TtsScript, session: RecordedSession) {
  let rate = 16_000
  let sent = 0
  let speaking: Promise<unknown> = Promise.resolve()
  const speak = async (text: string) => {
    if (sent > 0) await script.hold?.()
    if (sent === script.cutAfter) return socket.terminate()
    const pcm = tone(text.length, rate)
    sent++
    session.audioBytes += pcm.length
    say(socket, { type: 'output_audio', session_id: 'tts_1', audio: pcm.toString('base64') })
  }
  return (message: SessionMessage): void => {
    session.messages.push(message)
    if (message.type === 'session.create') {
      session.create = message
      rate = Number(message.sample_rate ?? rate)
      say(socket, { type: 'session.created', session_id: 'tts_1' })
    } else if (message.type === 'input_transcript') {
      const text = String(message.transcript)
      session.text += text
      if (script.verbatim !== undefined) {
        for (const message of script.verbatim) socket.send(JSON.stringify(message))
        socket.close()
      } else if (script.error !== undefined) say(socket, { type: 'error', ...script.error })
      else speaking = speaking.then(() => speak(text))
    } else if (message.type === 'session.flush') {
      speaking = speaking.then(() => say(socket, { type: 'done', session_id: 'tts_1' }))
    } else if (message.type === 'session.close') {
      say(socket, { type: 'session.closed', session_id: 'tts_1' })
      socket.close()
    }
  }
}
