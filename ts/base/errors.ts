// The words for what can go wrong: one base class, six subclasses by who must act, one closed list of codes.
// It refuses to know where an error came from: rebuilding errors of the native core is native.ts's work.

const marker = Symbol.for('roomhook.error')

/** Every code, by the class that carries it. docs/errors.md has a row for each. */
export const ERROR_CODES = {
  ConfigError: ['CONFIG_INVALID', 'HOOK_RETURN_INVALID', 'IDENTITY_MISMATCH'],
  WebhookError: [
    'RAW_BODY_UNAVAILABLE',
    'SIGNATURE_MISSING',
    'SIGNATURE_INVALID',
    'TIMESTAMP_OUT_OF_TOLERANCE',
    'BODY_TOO_LARGE',
    'BODY_INVALID',
    'WRONG_AGENT',
    'TOKEN_MISMATCH',
  ],
  JobError: ['JOB_STATE_CONFLICT', 'JOB_EXPIRED', 'HOOK_FAILED', 'HOOK_TIMEOUT', 'AT_CAPACITY'],
  DeliveryError: ['ENDPOINT_BLOCKED', 'ENDPOINT_GONE', 'ATTEMPT_FAILED', 'DELIVERY_EXHAUSTED'],
  ConnectionError: [
    'ROOM_CONNECT_FAILED',
    'ROOM_DISCONNECTED',
    'CONTROL_PROTOCOL',
    'TRANSPORT_FAILED',
    'TIMED_OUT',
    'STORE_UNAVAILABLE',
    'ENGINE_UNAVAILABLE',
  ],
  ClosedError: ['CLOSED', 'ABORTED'],
} as const

/** The name of an error class. */
export type ErrorClassName = keyof typeof ERROR_CODES

/** The stable code of an error; messages may change, codes do not. */
export type ErrorCode = (typeof ERROR_CODES)[ErrorClassName][number]

/** What an error may carry beside its message. */
export interface RoomhookErrorOptions {
  /** What caused it. */
  cause?: unknown
  /** Whether the same call can succeed later without a change. Default: false. */
  retryable?: boolean
  /** Plain facts for programs: a field path, a status code, a limit. Never a secret, a token or a body. */
  details?: Readonly<Record<string, unknown>>
}

/**
 * The base of every error this package throws. Test for it with `RoomhookError.isInstance(error)`, which also works
 * across two installed copies of the package.
 */
export class RoomhookError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  declare readonly details?: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: RoomhookErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
    if (options.details !== undefined) this.details = options.details
    Object.defineProperty(this, marker, { value: true })
  }

  /** Whether a value is an error of this class, or of a class with its name from another copy of the package. */
  static isInstance<T extends typeof RoomhookError>(this: T, value: unknown): value is InstanceType<T> {
    if (typeof value !== 'object' || value === null || !(marker in value)) return false
    const codes: readonly string[] | undefined = ERROR_CODES[this.name as ErrorClassName]
    return codes === undefined || codes.includes((value as unknown as RoomhookError).code)
  }
}

/** Fix your code or your configuration. */
export class ConfigError extends RoomhookError {}

/** A webhook request is not acceptable. */
export class WebhookError extends RoomhookError {}

/** This job cannot do that. */
export class JobError extends RoomhookError {}

/** An endpoint could not be served. */
export class DeliveryError extends RoomhookError {}

/** The network, the room, the store or the media library failed. One that took too long is named `TimeoutError`. */
export class ConnectionError extends RoomhookError {
  constructor(code: ErrorCode, message: string, options: RoomhookErrorOptions = {}) {
    super(code, message, options)
    if (code === 'TIMED_OUT') this.name = 'TimeoutError'
  }
}

/** You closed or cancelled it. An aborted operation has the name `AbortError`, as the platform's own. */
export class ClosedError extends RoomhookError {
  constructor(code: ErrorCode, message: string, options: RoomhookErrorOptions = {}) {
    super(code, message, options)
    if (code === 'ABORTED') this.name = 'AbortError'
  }
}

const classes: Record<ErrorClassName, typeof RoomhookError> = {
  ConfigError,
  WebhookError,
  JobError,
  DeliveryError,
  ConnectionError,
  ClosedError,
}

const classByCode = new Map<string, typeof RoomhookError>(
  Object.entries(ERROR_CODES).flatMap(([name, codes]) =>
    codes.map((code): [string, typeof RoomhookError] => [code, classes[name as ErrorClassName]]),
  ),
)

/** Whether a text is one of the codes. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && classByCode.has(code)
}

/** Builds the error of the class that carries the code. */
export function createError(code: ErrorCode, message: string, options?: RoomhookErrorOptions): RoomhookError {
  const Class = classByCode.get(code) ?? RoomhookError
  return new Class(code, message, options)
}
