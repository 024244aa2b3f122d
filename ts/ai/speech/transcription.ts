// Transcription models behind the gateway's /stt socket: a file in one go, or audio as it comes; one session a call.

import { ConfigError } from '../../base/errors.js'
import { checkText, invalid } from '../../base/options.js'
import { callChoices, checkCall } from '../call-options.js'
import type { GatewayClient } from '../client.js'
import { markLiveKitModel } from '../own-models.js'
import { broken, type Session, silent } from './session.js'
import { isFreeStream, openSession, sessionStream } from './session-stream.js'
import type {
  AudioFormat,
  TranscriptionCall,
  TranscriptionModel,
  TranscriptionPart,
  TranscriptionResult,
  TranscriptionStream,
  TranscriptionStreamCall,
} from './spec.js'
import { checkRate, splitModelId, type TranscriptionOptions, transcriptionOptions } from './speech-options.js'
import { openTranscription, TranscriptCollector, type TranscriptionSettings } from './transcription-session.js'
import { isWav, type Pcm, readWav } from './wav.js'

/** How much of a file goes into one message: 100 ms. */
const CHUNKS_A_SECOND = 10

/** A transcription model of LiveKit Inference. Closures, no `this`: ai 7 calls its methods on a proxy. */
export function transcriptionModel(modelId: string, client: GatewayClient): TranscriptionModel {
  const { id, detail } = splitModelId(checkText(modelId, 'modelId'))

  async function open(call: TranscriptionStreamCall, retry: boolean): Promise<TranscriptionStream> {
    checkCall(call, 'audio', 'a ReadableStream that is not locked to a reader', isFreeStream)
    const options = transcriptionOptions(call.providerOptions)
    const { extra = {}, settleMs, language = detail } = options
    const settings = { model: id, language, rate: pcmRate(call.inputAudioFormat), extra }
    const choices = { headers: call.headers, signal: call.abortSignal, ...callChoices(options) }
    const opened = await openSession(call.audio, () => client.open('stt', id, choices, retry))
    const response = { timestamp: new Date(), modelId }
    return { stream: transcription(call, settings, opened, settleMs), response }
  }

  return markLiveKitModel({
    specificationVersion: 'v3',
    provider: 'livekit.transcription',
    modelId,

    async doGenerate(call: TranscriptionCall): Promise<TranscriptionResult> {
      checkCall(call, 'audio', 'bytes or base64', (audio) => typeof audio === 'string' || audio instanceof Uint8Array)
      const pcm = samples(call, transcriptionOptions(call.providerOptions))
      const inputAudioFormat = { type: 'audio/pcm', rate: pcm.rate }
      const { stream, response } = await open({ ...call, audio: chunks(pcm), inputAudioFormat }, false)
      let end: Extract<TranscriptionPart, { type: 'finish' }> | undefined
      for await (const part of stream) if (part.type === 'finish') end = part
      if (end === undefined) throw broken('ended the session without a result')
      const { text, segments, language, durationInSeconds } = end
      return { text, segments, language, durationInSeconds, warnings: [], response }
    },

    doStream: async (call) => open(call, true),
  })
}

function transcription(
  call: TranscriptionStreamCall,
  settings: TranscriptionSettings,
  { session, input }: { session: Session; input: ReadableStreamDefaultReader<Uint8Array | string> },
  settleMs: number | undefined,
): ReadableStream<TranscriptionPart> {
  const collector = new TranscriptCollector()
  let bytes = 0
  // When the input ended, or the last message about it came: other messages do not lengthen the wait.
  let sinceMs = 0
  const finish = (): TranscriptionPart => {
    const { text, segments, language } = collector.transcript
    const durationInSeconds = bytes / 2 / settings.rate
    return { type: 'finish', text, segments, durationInSeconds, ...(language === undefined ? {} : { language }) }
  }
  return sessionStream<TranscriptionPart>({
    session,
    signal: call.abortSignal,
    head: [{ type: 'stream-start', warnings: [] }],
    async send() {
      await openTranscription(session, settings)
      for (let chunk = await input.read(); !chunk.done; chunk = await input.read()) {
        const base64 = typeof chunk.value === 'string' ? chunk.value : toBase64(chunk.value)
        bytes += Buffer.byteLength(base64, 'base64')
        await session.send({ type: 'input_audio', audio: base64 })
      }
      await session.send({ type: 'session.finalize' })
      collector.inputEnded = true
      sinceMs = Date.now()
      session.wake()
    },
    async receive() {
      const patience = collector.patience(settleMs)
      const left = patience === undefined ? undefined : Math.max(0, sinceMs + patience - Date.now())
      const message = await session.next(left)
      if (message === 'woken') return { parts: [], done: false }
      if (message === 'quiet') {
        // A gateway that said nothing of what it heard has not heard silence: it has not answered.
        if (!collector.mayEnd) throw silent()
        return { parts: [finish()], done: true }
      }
      if (message === undefined || message.type === 'session.closed') {
        if (!collector.mayClose) throw broken('closed the session before it was done')
        return { parts: [finish()], done: true }
      }
      const parts: TranscriptionPart[] = call.includeRawChunks === true ? [{ type: 'raw', rawValue: message }] : []
      if (/^session\.finalized$|_transcript$/.test(message.type)) sinceMs = Date.now()
      const event = collector.take(message)
      if (event !== undefined) parts.push(event)
      return { parts, done: false }
    },
    input,
  })
}

function toBase64(bytes: Uint8Array): string {
  if (!ArrayBuffer.isView(bytes)) throw invalid('call.audio', 'a stream of bytes or base64', bytes)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** The samples of a batch call. */
function samples({ audio }: TranscriptionCall, { inputSampleRate }: TranscriptionOptions): Pcm {
  const bytes = typeof audio === 'string' ? Buffer.from(audio, 'base64') : audio
  if (!isWav(bytes) && inputSampleRate !== undefined) return { rate: inputSampleRate, bytes }
  return readWav(bytes)
}

function chunks({ rate, bytes }: Pcm): ReadableStream<Uint8Array> {
  const step = Math.floor(rate / CHUNKS_A_SECOND) * 2
  let at = 0
  return new ReadableStream(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close()
        controller.enqueue(bytes.subarray(at, at + step))
        at += step
      },
    },
    { highWaterMark: 0 },
  )
}

/** @throws ConfigError `CONFIG_INVALID` for anything but raw PCM with a rate. */
function pcmRate(format: AudioFormat | undefined): number {
  if (format?.type !== 'audio/pcm') {
    throw new ConfigError('CONFIG_INVALID', 'inputAudioFormat.type must be audio/pcm (16-bit mono samples)')
  }
  return checkRate(format.rate, 'inputAudioFormat.rate')
}
