// Speech models behind the gateway's /tts socket: a text in one go, or as a language model writes it; one session a call.
// What comes out is 16-bit mono PCM, or a WAV file of it: other formats are not the gateway's, and are not faked.

import { ConfigError } from '../../base/errors.js'
import { checkText } from '../../base/options.js'
import { callChoices, checkCall } from '../call-options.js'
import type { GatewayClient } from '../client.js'
import { markLiveKitModel } from '../own-models.js'
import type { Warning } from '../spec.js'
import { Sentences } from './sentences.js'
import { broken, IDLE_MS, type ServerMessage, type Session, silent } from './session.js'
import { isFreeStream, openSession, sessionStream } from './session-stream.js'
import type {
  SpeechCall,
  SpeechModel,
  SpeechPart,
  SpeechResult,
  SpeechStream,
  SpeechStreamCall,
  SpokenText,
} from './spec.js'
import { checkRate, type SpeechOptions, speechOptions, splitModelId } from './speech-options.js'
import { writeWav } from './wav.js'

const DEFAULT_RATE = 24_000

/** A speech model of LiveKit Inference. Closures, no `this`: ai 7 calls its methods on a proxy. */
export function speechModel(modelId: string, client: GatewayClient): SpeechModel {
  const { id, detail } = splitModelId(checkText(modelId, 'modelId'))

  async function open(call: SpeechStreamCall, retry: boolean): Promise<SpeechStream> {
    checkCall(call, 'text', 'a ReadableStream that is not locked to a reader', isFreeStream)
    const options = speechOptions(call.providerOptions)
    const rate = outputRate(call, options)
    const { voice = detail, language } = call
    const create = {
      type: 'session.create',
      model: id,
      sample_rate: String(rate),
      encoding: 'pcm_s16le',
      ...(voice === undefined ? {} : { voice }),
      ...(language === undefined ? {} : { language }),
      extra: options.extra ?? {},
    }
    const choices = { headers: call.headers, signal: call.abortSignal, ...callChoices(options) }
    const opened = await openSession(call.text, () => client.open('tts', id, choices, retry))
    return { stream: speech(call, opened, create, rate), response: { timestamp: new Date(), modelId } }
  }

  return markLiveKitModel({
    specificationVersion: 'v3',
    provider: 'livekit.speech',
    modelId,

    async doGenerate(given: SpeechCall): Promise<SpeechResult> {
      const { text, outputFormat, ...call } = checkCall(given, 'text', 'a string', (value) => typeof value === 'string')
      const rate = speechOptions(call.providerOptions).sampleRate ?? DEFAULT_RATE
      const warnings: Warning[] = []
      const raw = outputFormat === 'pcm'
      if (!raw && outputFormat !== undefined && outputFormat !== 'wav') {
        warnings.push({ type: 'unsupported', feature: 'outputFormat', details: 'wav or pcm; wav is given' })
      }
      const whole = { ...call, text: ReadableStream.from([{ type: 'text' as const, text }]) }
      const { stream, response } = await open({ ...whole, outputFormat: { type: 'audio/pcm', rate } }, false)
      const pieces: Uint8Array[] = []
      for await (const part of stream) {
        if (part.type === 'stream-start') warnings.push(...part.warnings)
        else if (part.type === 'audio') pieces.push(part.audio)
      }
      const bytes = Buffer.concat(pieces)
      return { audio: raw ? bytes : writeWav({ rate, bytes }), warnings, response }
    },

    doStream: (call) => open(call, true),
  })
}

function speech(
  call: SpeechStreamCall,
  { session, input }: { session: Session; input: ReadableStreamDefaultReader<SpokenText> },
  create: ServerMessage,
  rate: number,
): ReadableStream<SpeechPart> {
  let inputCharacters = 0
  let flushed = false
  // When the text was all sent, or audio came last: other messages do not lengthen the wait.
  let sinceMs = 0
  const say = async (transcript: string | undefined, voice: string | undefined) => {
    if (transcript === undefined) return
    inputCharacters += transcript.length
    const generation_config = voice === undefined ? undefined : { voice }
    // The space keeps two sentences apart where the vendor joins what it is sent.
    const spaced = /\s$/.test(transcript) ? transcript : `${transcript} `
    await session.send({
      type: 'input_transcript',
      transcript: spaced,
      ...(generation_config && { generation_config }),
    })
  }
  return sessionStream<SpeechPart>({
    session,
    signal: call.abortSignal,
    head: [{ type: 'stream-start', warnings: unsupported(call) }],
    async send() {
      await session.send(create)
      const sentences = new Sentences()
      let voice: string | undefined
      for (let part = await input.read(); !part.done; part = await input.read()) {
        if (part.value.voice !== voice) await say(sentences.rest(), voice)
        voice = part.value.voice
        for (const sentence of sentences.push(part.value.text)) await say(sentence, voice)
      }
      await say(sentences.rest(), voice)
      await session.send({ type: 'session.flush' })
      flushed = true
      sinceMs = Date.now()
      session.wake()
    },
    async receive() {
      // While the text is still being written, silence is the writer's.
      const message = await session.next(flushed ? Math.max(0, sinceMs + IDLE_MS - Date.now()) : undefined)
      if (message === 'woken') return { parts: [], done: false }
      if (message === 'quiet') throw silent()
      if (message === undefined || message.type === 'session.closed')
        throw broken('closed the session before it was done')
      const parts: SpeechPart[] = call.includeRawChunks === true ? [{ type: 'raw', rawValue: message }] : []
      if (message.type === 'output_audio' && typeof message.audio === 'string') {
        sinceMs = Date.now()
        const audio = new Uint8Array(Buffer.from(message.audio, 'base64'))
        parts.push({ type: 'audio', audio, audioFormat: { type: 'audio/pcm', rate } })
      }
      const done = message.type === 'done' && flushed
      if (done) parts.push({ type: 'finish', usage: { inputCharacters } })
      return { parts, done }
    },
    input,
  })
}

function unsupported({ instructions, speed }: SpeechStreamCall): Warning[] {
  const details = 'set the vendor’s own option in providerOptions.livekit.extra'
  return Object.entries({ instructions, speed }).flatMap(([feature, value]) =>
    value === undefined ? [] : [{ type: 'unsupported', feature, details }],
  )
}

/** @throws ConfigError `CONFIG_INVALID` for anything but raw PCM. */
function outputRate({ outputFormat }: SpeechStreamCall, { sampleRate }: SpeechOptions): number {
  if (outputFormat !== undefined && outputFormat.type !== 'audio/pcm') {
    throw new ConfigError('CONFIG_INVALID', 'outputFormat.type must be audio/pcm (16-bit mono samples)')
  }
  if (outputFormat?.rate !== undefined) return checkRate(outputFormat.rate, 'outputFormat.rate')
  return sampleRate ?? DEFAULT_RATE
}
