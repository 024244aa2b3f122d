// Where messages for operators go: one replaceable sink with levels. It redacts nothing by itself, because nothing that
// needs redaction may be handed to it: messages are constants, facts are structured fields.

import { ConfigError } from './errors.js'

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

function write(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  pass({ level, message, fields })
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
