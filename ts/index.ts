// The package's front door: what a user imports from `roomhook`.

export {
  ClosedError,
  ConfigError,
  ConnectionError,
  DeliveryError,
  type ErrorCode,
  JobError,
  RoomhookError,
  type RoomhookErrorOptions,
  WebhookError,
} from './errors.js'
export {
  createHeaderHooks,
  encodeHeaderValue,
  type HeaderHook,
  type HeaderHookContext,
  type HeaderHookEvent,
  type HeaderHookOptions,
  type HeaderHookResult,
  type HeaderHooks,
  type HeaderHooksOptions,
  type HeaderInput,
  type HeaderScope,
  type HeaderTarget,
  type HeaderTurn,
  type HeaderTurnContext,
  type InferenceHeadersOptions,
  type InferenceJob,
  type InferencePriority,
  type InferenceRoom,
  inferenceHeaders,
  turnHeaders,
} from './inference/index.js'
export { type LogLevel, type LogRecord, setLogger } from './log.js'
