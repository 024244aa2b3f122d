// `roomhook/ai`: what joins the AI SDK to LiveKit. It imports nothing of `ai`, and works with its majors 6 and 7.

import './base/core-log.js'

export type { CallOptions } from './ai/call-options.js'
export type { ChatOptions, ReasoningEffort } from './ai/chat/options.js'
export type { LiveKitSettings } from './ai/client.js'
export type { GatewayCallError } from './ai/gateway-error.js'
export type { ChatModelId, SpeechModelId, TranscriptionModelId } from './ai/models.js'
export { createLiveKit, type LiveKit, type LiveKitProvider, livekit } from './ai/provider.js'
export type { SpeechOptions, TranscriptionOptions } from './ai/speech/speech-options.js'
export { type WithHeadersOptions, withHeaders } from './ai/with-headers.js'
