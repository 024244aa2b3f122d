// That roomhook's models are models to ai 7, and that withHeaders changes no type. Compiled by a test, never run.

import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  createProviderRegistry,
  type EmbeddingModel,
  experimental_streamSpeech,
  experimental_streamTranscribe,
  generateSpeech,
  generateText,
  type ImageModel,
  type LanguageModel,
  type SpeechModel,
  streamText,
  ToolLoopAgent,
  type TranscriptionModel,
  transcribe,
  wrapLanguageModel,
} from 'ai'
import { type ChatOptions, livekit, type SpeechOptions, type TranscriptionOptions, withHeaders } from '../../ts/ai.js'

const chat: LanguageModel = livekit('openai/gpt-5-mini')
const own: LanguageModel = livekit('a-vendor/a-model-of-tomorrow')
const ear: TranscriptionModel = livekit.transcription('deepgram/nova-3')
const voice: SpeechModel = livekit({ priority: 'low', job: null }).speech('cartesia/sonic-3')

generateText({ model: chat, prompt: '', providerOptions: { livekit: { priority: 'low' } satisfies ChatOptions } })
streamText({ model: withHeaders(livekit('openai/gpt-4o')), prompt: '' })
transcribe({
  model: ear,
  audio: new Uint8Array(),
  providerOptions: { livekit: { language: 'en', extra: { punctuate: true } } satisfies TranscriptionOptions },
})
generateSpeech({
  model: voice,
  text: '',
  providerOptions: { livekit: { sampleRate: 16_000 } satisfies SpeechOptions },
})
new ToolLoopAgent({ model: own })
wrapLanguageModel({ model: livekit('openai/gpt-4o'), middleware: [] })
createProviderRegistry({ livekit })
globalThis.AI_SDK_DEFAULT_PROVIDER = livekit

const openai = createOpenAI()
const wrapped: typeof openai = withHeaders(openai, { attribution: false })
const picture: ImageModel = withHeaders(openai.image('gpt-image-1'))
const vectors: EmbeddingModel = wrapped.embedding('text-embedding-3-small')
const compatible = createOpenAICompatible({ name: 'x', baseURL: 'https://x.example' })
const same: typeof compatible = withHeaders(compatible)
export const used = [picture, vectors, same]

// @ts-expect-error a model id is no model
withHeaders('openai/gpt-4o')
// @ts-expect-error an unknown priority
livekit({ priority: 'urgent' })
// @ts-expect-error an unknown setting
livekit({ apikey: 'k' })

experimental_streamSpeech({ model: voice, text: streamText({ model: chat, prompt: '' }).textStream })
experimental_streamTranscribe({
  model: ear,
  audio: new ReadableStream<Uint8Array>(),
  inputAudioFormat: { type: 'audio/pcm', rate: 16_000 },
})
