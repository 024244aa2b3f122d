// Where messages for operators go: one replaceable sink with levels. It redacts nothing by itself, because nothing that
// needs redaction may be handed to it: messages are constants, facts are structured fields.

import { ConfigError } from './errors.js'

/** The levels, most urgent first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** One message: a constant sentence and its facts. */
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

let threshold: number = order.indexOf('warn')
let sink: (record: LogRecord) => void = toConsole

/**
 * Replaces where messages go and how many there are. Default: the console's error stream, from `warn` up.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for a level or sink that is none; nothing is replaced then.
 */
export function setLogger(options: { level?: LogLevel; sink?: (record: LogRecord) => void }): void {
  if (typeof options !== 'object' || options === null) throw wrong('options', 'an object')
  const { level, sink: given } = options
  if (level !== undefined && !order.includes(level)) throw wrong('options.level', `one of ${order.join(', ')}`)
  if (given !== undefined && typeof given !== 'function') throw wrong('options.sink', 'a function')
  if (level !== undefined) threshold = order.indexOf(level)
  if (given !== undefined) sink = given
}

function wrong(path: string, expected: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', `${path} must be ${expected}`, { details: { path } })
}

function write(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
  if (order.indexOf(level) > threshold) return
  try {
    sink({ level, message, fields })
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
