// Where messages for operators go: one replaceable sink with levels. Messages are constants, facts are structured fields
// that need no redaction. It refuses to log an error as a whole, because others' errors carry request and response bodies:
// of a field that is one, and of the field `error` whatever it is, name, redacted message and stack are left.

import { ConfigError } from './errors.js'
import { native } from './native.js'

/** The levels, most urgent first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/**
 * One message: a constant sentence and its facts. Records of the native core name the module that wrote them in
 * `fields.target`. Those of LiveKit's media library (target `roomhook::engine::library`, level `debug` and `trace`) are in
 * its own words, which can name rooms and identities; tokens are cut out of them.
 */
export interface LogRecord {
  level: LogLevel
  message: string
  fields: Readonly<Record<string, unknown>>
}

const order: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace']

function toConsole({ level, message, fields }: LogRecord): void {
  const text = `roomhook: ${message}`
  const args = Object.keys(fields).length === 0 ? [text] : [text, fields]
  if (level === 'error') console.error(...args)
  else if (level === 'warn') console.warn(...args)
  else console.error(...args)
}

/** The level that `ROOMHOOK_LOG` asks for, if it names one. */
export function logLevelOfEnvironment(): LogLevel | undefined {
  const given = process.env.ROOMHOOK_LOG?.trim().toLowerCase()
  return order.find((level) => level === given)
}

let threshold: number = order.indexOf(logLevelOfEnvironment() ?? 'warn')
let onLevel: (level: LogLevel) => void = () => undefined
let sink: (record: LogRecord) => void = toConsole

/**
 * Replaces where messages go and how many there are, those of the native core included. Default: the console's error
 * stream, from the level up that the environment variable `ROOMHOOK_LOG` names, else from `warn` up.
 *
 * The core writes for the whole process: where worker threads load roomhook too, its records go to the thread that loaded
 * it first, and after that one's end to the next.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for a level or sink that is none; nothing is replaced then.
 */
export function setLogger(options: { level?: LogLevel; sink?: (record: LogRecord) => void }): void {
  if (typeof options !== 'object' || options === null) throw wrong('options', 'an object')
  const { level, sink: given } = options
  if (level !== undefined && !order.includes(level)) throw wrong('options.level', `one of ${order.join(', ')}`)
  if (given !== undefined && typeof given !== 'function') throw wrong('options.sink', 'a function')
  // The sink first: with the level more records begin to come.
  if (given !== undefined) sink = given
  if (level !== undefined) {
    threshold = order.indexOf(level)
    onLevel(level)
  }
}

/** Tells somebody the level now and whenever it changes: whoever makes records elsewhere. */
export function followLevel(follow: (level: LogLevel) => void): void {
  onLevel = follow
  follow(order[threshold] as LogLevel)
}

function wrong(path: string, expected: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', `${path} must be ${expected}`, { details: { path } })
}

/** What the log says of an error. */
export class LoggedError {
  readonly name: string
  /** On one line, at most 1 KiB, without tokens and secrets. */
  readonly message: string
  declare readonly code?: string
  /** Where it was made, without the message. */
  declare readonly stack?: string
  declare readonly cause?: LoggedError

  private constructor(error: ErrorLike, redact: (text: string) => string, depth: number) {
    const { name, message, code, stack, cause } = error
    this.name = redact(String(name))
    this.message = redact(String(message))
    if (typeof code === 'string') this.code = redact(code)
    const frames = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : []
    if (frames.length > 0) this.stack = frames.join('\n')
    if (depth > 0 && isErrorLike(cause)) this.cause = new LoggedError(cause, redact, depth - 1)
  }

  /** @param redact Takes out what must not be logged. Default: tokens and webhook secrets. */
  static of(error: unknown, redact: (text: string) => string = native.redact): LoggedError {
    if (error instanceof LoggedError) return error
    try {
      if (isErrorLike(error)) return new LoggedError(error, redact, 3)
    } catch {
      // Its own getters threw.
    }
    const message = typeof error === 'string' ? error : 'a value that is not an Error was thrown'
    return new LoggedError({ name: 'Error', message }, redact, 0)
  }
}

interface ErrorLike {
  name: unknown
  message: unknown
  code?: unknown
  stack?: unknown
  cause?: unknown
}

/** Errors of other realms and copies of a class are no `instanceof Error`. */
function isErrorLike(value: unknown): value is ErrorLike {
  return (
    value instanceof Error || (typeof value === 'object' && value !== null && 'message' in value && 'name' in value)
  )
}

function write(level: LogLevel, message: string, given: Readonly<Record<string, unknown>> = {}): void {
  if (order.indexOf(level) > threshold) return
  const entries = Object.entries(given).map(([name, value]) => {
    return [name, name === 'error' || value instanceof Error ? LoggedError.of(value) : value]
  })
  pass({ level, message, fields: Object.fromEntries(entries) as Readonly<Record<string, unknown>> })
}

/** Hands a finished record to the sink, if its level is wanted. */
export function pass(record: LogRecord): void {
  if (order.indexOf(record.level) > threshold) return
  try {
    sink(record)
  } catch {
    // A broken sink must not harm the program that it only watches.
  }
}

/** The package's own messages. */
export const log = {
  error: (message: string, fields?: Readonly<Record<string, unknown>>): void => write('error', message, fields),
  warn: (message: string, fields?: Readonly<Record<string, unknown>>): void => write('warn', message, fields),
  info: (message: string, fields?: Readonly<Record<string, unknown>>): void => write('info', message, fields),
  debug: (message: string, fields?: Readonly<Record<string, unknown>>): void => write('debug', message, fields),
}
