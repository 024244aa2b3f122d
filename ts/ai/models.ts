// Ids of models that LiveKit Inference is known to serve, as hints for editors. Any other text is as good: the gateway
// decides what exists.

type AnyId = string & Record<never, never>

/** A chat model, `vendor/model`. */
export type ChatModelId =
  | 'openai/gpt-5.5'
  | 'openai/gpt-5.4'
  | 'openai/gpt-5.4-mini'
  | 'openai/gpt-5.4-nano'
  | 'openai/gpt-5'
  | 'openai/gpt-5-mini'
  | 'openai/gpt-5-nano'
  | 'openai/gpt-4.1'
  | 'openai/gpt-4.1-mini'
  | 'openai/gpt-4o'
  | 'openai/gpt-4o-mini'
  | 'openai/gpt-oss-120b'
  | 'google/gemini-3.1-pro'
  | 'google/gemini-3.5-flash'
  | 'google/gemini-2.5-flash'
  | 'moonshotai/kimi-k2.6'
  | 'deepseek-ai/deepseek-v3.2'
  | 'zai/glm-5.1'
  | 'xai/grok-4.5'
  | AnyId

/** A transcription model, `vendor/model` or `vendor/model:language`. */
export type TranscriptionModelId =
  | 'assemblyai/universal-streaming'
  | 'assemblyai/universal-streaming-multilingual'
  | 'cartesia/ink-2'
  | 'cartesia/ink-whisper'
  | 'deepgram/flux-general'
  | 'deepgram/flux-general-multi'
  | 'deepgram/nova-2'
  | 'deepgram/nova-3'
  | 'deepgram/nova-3-medical'
  | 'elevenlabs/scribe_v2_realtime'
  | 'inworld/inworld-stt-1'
  | 'speechmatics/enhanced'
  | 'xai/stt-1'
  | 'auto'
  | AnyId

/** A speech model, `vendor/model` or `vendor/model:voice`. */
export type SpeechModelId =
  | 'cartesia/sonic-3'
  | 'cartesia/sonic-3.5'
  | 'cartesia/sonic-turbo'
  | 'deepgram/aura-2'
  | 'elevenlabs/eleven_flash_v2_5'
  | 'elevenlabs/eleven_multilingual_v2'
  | 'elevenlabs/eleven_turbo_v2_5'
  | 'elevenlabs/eleven_v3'
  | 'inworld/inworld-tts-2'
  | 'rime/coda'
  | 'rime/mistv3'
  | 'xai/tts-1'
  | AnyId
