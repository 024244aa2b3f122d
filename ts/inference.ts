// `roomhook/inference`: headers, hooks, fetch and sockets for requests to LLM, STT and TTS services.

import './base/core-log.js'

export type {
  InferenceCallOptions,
  InferenceRequestInit,
} from './inference/call.js'
export {
  type InferenceFetch,
  type InferenceFetchOptions,
  type InferenceResponse,
  inferenceFetch,
} from './inference/fetch.js'
export { encodeHeaderValue, type HeaderInput } from './inference/headers.js'
export {
  createHeaderHooks,
  type HeaderHook,
  type HeaderHookContext,
  type HeaderHookEvent,
  type HeaderHookOptions,
  type HeaderHookResult,
  type HeaderHooks,
  type HeaderHooksOptions,
  type HeaderTurnContext,
} from './inference/hooks.js'
export {
  type InferenceHeadersOptions,
  type InferenceJob,
  type InferencePriority,
  type InferenceRoom,
  inferenceHeaders,
} from './inference/metadata.js'
export { type InferenceSocketOptions, inferenceSocket } from './inference/open-socket.js'
export type { InferenceQuota } from './inference/quota.js'
export type { InferenceRetryOptions } from './inference/retry.js'
export type { HeaderScope, HeaderTarget } from './inference/scope.js'
export type { InferenceSocket, InferenceSocketEnd } from './inference/socket.js'
export { type HeaderTurn, turnHeaders } from './inference/turn.js'
