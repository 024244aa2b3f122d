// The shapes of speech and transcription models: batch as in specification v3, streaming as ai 7 calls it on models of
// that specification. Types only; see ../spec.ts.

import type { CallHeaders, ProviderOptions, Warning } from '../spec.js'

/** A format of raw audio. */
export interface AudioFormat {
  /** `audio/pcm`: 16-bit little-endian mono. */
  type: string
  /** Samples a second. */
  rate?: number
}

interface Call {
  providerOptions?: ProviderOptions
  abortSignal?: AbortSignal
  headers?: CallHeaders
}

/** Which response an answer came from. */
export interface SessionResponse {
  timestamp: Date
  modelId: string
}

/** A call of a transcription model. */
export interface TranscriptionCall extends Call {
  audio: Uint8Array | string
  mediaType: string
}

/** What was heard. */
export interface TranscriptionResult {
  text: string
  segments: { text: string; startSecond: number; endSecond: number }[]
  language: string | undefined
  durationInSeconds: number | undefined
  warnings: Warning[]
  response: SessionResponse
}

/** A streaming call of a transcription model. */
export interface TranscriptionStreamCall extends Call {
  audio: ReadableStream<Uint8Array | string>
  inputAudioFormat: AudioFormat
  includeRawChunks?: boolean
}

/** A part of a streamed transcription. */
export type TranscriptionPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | { type: 'transcript-partial'; text: string; startSecond: number; durationInSeconds: number }
  | { type: 'transcript-final'; text: string; startSecond: number; endSecond: number }
  | { type: 'raw'; rawValue: unknown }
  | {
      type: 'finish'
      text: string
      segments: { text: string; startSecond: number; endSecond: number }[]
      language?: string
      durationInSeconds: number
    }

/** A call of a speech model. */
export interface SpeechCall extends Call {
  text: string
  voice?: string
  outputFormat?: string
  instructions?: string
  speed?: number
  language?: string
}

/** What was said. */
export interface SpeechResult {
  audio: Uint8Array
  warnings: Warning[]
  response: SessionResponse
}

/** A piece of the text that a speech model is given. */
export interface SpokenText {
  type: 'text'
  text: string
  voice?: string
}

/** A streaming call of a speech model. */
export interface SpeechStreamCall extends Call {
  text: ReadableStream<SpokenText>
  voice?: string
  outputFormat?: AudioFormat
  instructions?: string
  speed?: number
  language?: string
  includeRawChunks?: boolean
}

/** A part of streamed speech. */
export type SpeechPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | { type: 'audio'; audio: Uint8Array; audioFormat: AudioFormat }
  | { type: 'raw'; rawValue: unknown }
  | { type: 'finish'; usage: { inputCharacters: number } }

/** A transcription under way. */
export interface TranscriptionStream {
  stream: ReadableStream<TranscriptionPart>
  response: SessionResponse
}

/** Speech under way. */
export interface SpeechStream {
  stream: ReadableStream<SpeechPart>
  response: SessionResponse
}

/** A transcription model of specification v3 that also streams. */
export interface TranscriptionModel {
  readonly specificationVersion: 'v3'
  readonly provider: string
  readonly modelId: string
  doGenerate(options: TranscriptionCall): Promise<TranscriptionResult>
  doStream(options: TranscriptionStreamCall): Promise<TranscriptionStream>
}

/** A speech model of specification v3 that also streams. */
export interface SpeechModel {
  readonly specificationVersion: 'v3'
  readonly provider: string
  readonly modelId: string
  doGenerate(options: SpeechCall): Promise<SpeechResult>
  doStream(options: SpeechStreamCall): Promise<SpeechStream>
}
