// The inference part's front door: what `roomhook` exports of it, and what job.ts and the AI SDK provider build on.

export type {
  InferenceCallOptions,
  InferenceRequestInit,
} from './call.js'
export {
  type InferenceFetch,
  type InferenceFetchOptions,
  type InferenceResponse,
  inferenceFetch,
} from './fetch.js'
export type { GatewayOptions } from './gateway.js'
export { type HeaderEntry, type HeaderInput, type HeaderLayers, headerEntries, mergeHeaders } from './headers.js'
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
} from './hooks.js'
export {
  type InferenceHeadersOptions,
  type InferenceJob,
  type InferencePriority,
  type InferenceRoom,
  inferenceHeaders,
  setCurrentJobLookup,
} from './metadata.js'
export { encodeHeaderValue } from './names.js'
export { type InferenceSocketOptions, inferenceSocket } from './open-socket.js'
export { type InferenceQuota, inferenceQuota } from './quota.js'
export type { InferenceRetryOptions } from './retry.js'
export type { HeaderScope, HeaderTarget } from './scope.js'
export type { InferenceSocket, InferenceSocketEnd } from './socket.js'
export { type HeaderTurn, turnHeaders } from './turn.js'
