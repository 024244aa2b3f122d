// `livekit`: LiveKit Inference as a provider of the AI SDK. It knows chat, transcription and speech, which is what the
// gateway has; keys are looked up at the first request, so that importing it needs no environment.

import { ConfigError } from '../base/errors.js'
import { kindOf } from '../base/options.js'
import { chatModel } from './chat/model.js'
import { GatewayClient, type LiveKitSettings } from './client.js'
import type { ChatModelId, SpeechModelId, TranscriptionModelId } from './models.js'
import type { LanguageModel } from './spec.js'
import type * as speech from './speech/spec.js'
import { speechModel } from './speech/speech.js'
import { transcriptionModel } from './speech/transcription.js'

/** The models of LiveKit Inference, for `model:` of every AI SDK function. */
export interface LiveKitProvider {
  /** A chat model: text, tools, structured output, streaming. */
  (modelId: ChatModelId): LanguageModel
  readonly specificationVersion: 'v3'
  /** As calling the provider. */
  chat(modelId: ChatModelId): LanguageModel
  /** As calling the provider. */
  languageModel(modelId: ChatModelId): LanguageModel
  /** Speech to text: 16-bit WAV files, or a stream of PCM. `vendor/model:language` chooses the language. */
  transcription(modelId: TranscriptionModelId): speech.TranscriptionModel
  /** As `transcription`. */
  transcriptionModel(modelId: TranscriptionModelId): speech.TranscriptionModel
  /** Text to speech: WAV or PCM, at once or streamed. `vendor/model:voice` chooses the voice. */
  speech(modelId: SpeechModelId): speech.SpeechModel
  /** As `speech`. */
  speechModel(modelId: SpeechModelId): speech.SpeechModel
  /** Throws: the gateway has none. */
  embeddingModel(modelId: string): never
  /** Throws: the gateway has none. */
  textEmbeddingModel(modelId: string): never
  /** Throws: the gateway has none. */
  imageModel(modelId: string): never
}

/** {@link livekit}: a provider, and what makes others. */
export interface LiveKit extends LiveKitProvider {
  /** A provider with settings of its own. */
  (settings?: LiveKitSettings): LiveKitProvider
}

function createProvider(client: GatewayClient): LiveKitProvider {
  const chat = (modelId: string) => chatModel(modelId, client)
  const transcription = (modelId: string) => transcriptionModel(modelId, client)
  const speech = (modelId: string) => speechModel(modelId, client)
  return Object.assign(chat, {
    specificationVersion: 'v3' as const,
    chat,
    languageModel: chat,
    transcription,
    transcriptionModel: transcription,
    speech,
    speechModel: speech,
    embeddingModel: none('embedding'),
    textEmbeddingModel: none('embedding'),
    imageModel: none('image'),
  })
}

function none(kind: string): () => never {
  return () => {
    throw new ConfigError(
      'CONFIG_INVALID',
      `LiveKit Inference has no ${kind} models; use a vendor's provider, in withHeaders() to keep the attribution`,
    )
  }
}

const standard = createLiveKit()

function make(argument?: string | LiveKitSettings): LanguageModel | LiveKitProvider {
  if (typeof argument === 'string') return standard(argument)
  if (argument === undefined) return standard
  if (argument === null || typeof argument !== 'object' || Array.isArray(argument)) {
    throw new ConfigError('CONFIG_INVALID', `livekit() takes a model's id or settings, got ${kindOf(argument)}`)
  }
  return createLiveKit(argument)
}

/** A provider with settings of its own, by the name that the AI SDK's providers give it: as `livekit({ … })`. */
export function createLiveKit(settings?: LiveKitSettings): LiveKitProvider {
  return createProvider(new GatewayClient(settings))
}

/**
 * LiveKit Inference for the AI SDK 6 and 7: `livekit('openai/gpt-5-mini')`, `livekit.transcription('deepgram/nova-3')`,
 * `livekit.speech('cartesia/sonic-3')`; and `livekit({ … })` for a provider with settings of its own.
 *
 * Inside an agent's `entry` every request carries the headers of the job by itself, and inside `hooks.turn` those of the
 * turn. Credentials come from the settings, else `LIVEKIT_INFERENCE_API_KEY` and `LIVEKIT_INFERENCE_API_SECRET`, else
 * `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`; a token is minted for every request. Failed calls are errors that the AI
 * SDK retries by its own rules (`maxRetries`); nothing is retried below it.
 */
export const livekit: LiveKit = Object.assign(make, { ...standard }) as LiveKit
