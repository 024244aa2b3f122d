// The inference part's front door: what `roomhook` exports of it, and what job.ts and the AI SDK provider build on.

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
export type { HeaderScope, HeaderTarget } from './scope.js'
export { type HeaderTurn, turnHeaders } from './turn.js'
