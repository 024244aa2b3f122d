// What a /stt session hears: audio goes in as base64 messages, transcripts come out as parts. **Every transcript that
// arrives before the end is part of the result**; the gateway's acknowledgements are optional, so silence ends it too.

import type { Json } from '../spec.js'
import { IDLE_MS, type ServerMessage, type Session } from './session.js'
import type { TranscriptionPart } from './spec.js'

/** One finished piece of speech. */
export interface Segment {
  text: string
  startSecond: number
  endSecond: number
}

type TranscriptEvent = Extract<TranscriptionPart, { type: 'transcript-partial' | 'transcript-final' }>

/** A whole transcription. */
export interface Transcript {
  text: string
  segments: Segment[]
  language: string | undefined
}

/** How a session is opened. */
export interface TranscriptionSettings {
  model: string
  language: string | undefined
  rate: number
  extra: { [option: string]: Json | undefined }
}

/** After the gateway confirmed that the input is worked off. */
const SETTLE_CONFIRMED_MS = 500
/** Without such a confirmation; what LiveKit's own client waits. */
const SETTLE_MS = 3_000

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

/** Collects the transcripts of one session. */
export class TranscriptCollector {
  readonly transcript: Transcript = { text: '', segments: [], language: undefined }
  inputEnded = false
  #confirmed = false
  #heardAfterInput = false

  /** How long silence lasts before it is the end, in milliseconds; `undefined` while there is more to say. */
  patience(settleMs: number | undefined): number | undefined {
    if (!this.inputEnded) return undefined
    if (!this.#heardAfterInput) return this.#confirmed ? SETTLE_MS : IDLE_MS
    return settleMs ?? (this.#confirmed ? SETTLE_CONFIRMED_MS : SETTLE_MS)
  }

  /** Whether a socket that closes now leaves the result whole. */
  get mayClose(): boolean {
    return this.#confirmed || this.#heardAfterInput
  }

  /** Whether silence now is the end of the result: also when everything was heard while the input still ran. */
  get mayEnd(): boolean {
    return this.mayClose || this.transcript.segments.length > 0
  }

  /** Takes a message; what it amounts to. */
  take(message: ServerMessage): TranscriptEvent | undefined {
    if (message.type === 'session.finalized') {
      if (this.inputEnded) this.#confirmed = true
      return undefined
    }
    const text = typeof message.transcript === 'string' ? message.transcript : ''
    const startSecond = number(message.start)
    const durationInSeconds = number(message.duration)
    if (message.type === 'interim_transcript' || message.type === 'preflight_transcript') {
      return { type: 'transcript-partial', text, startSecond, durationInSeconds }
    }
    if (message.type !== 'final_transcript') return undefined
    if (this.inputEnded) this.#heardAfterInput = true
    if (typeof message.language === 'string' && message.language !== '') this.transcript.language = message.language
    if (text.trim() === '') return undefined
    const segment = { text, startSecond, endSecond: startSecond + durationInSeconds }
    this.transcript.segments.push(segment)
    this.transcript.text = this.transcript.text === '' ? text : `${this.transcript.text} ${text}`
    return { type: 'transcript-final', ...segment }
  }
}

/** Opens the session: what is heard, and how. */
export function openTranscription(session: Session, settings: TranscriptionSettings): Promise<void> {
  const { model, language, rate, extra } = settings
  return session.send({
    type: 'session.create',
    ...(model === 'auto' ? {} : { model }),
    settings: {
      sample_rate: String(rate),
      encoding: 'pcm_s16le',
      ...(language === undefined ? {} : { language }),
      extra,
    },
  })
}
