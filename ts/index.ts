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
export { type LogLevel, type LogRecord, setLogger } from './log.js'
