// Set-up of every test file: what the package logs, at trace level, the native core's and the media library's records
// included, is kept below .cache/logs, where scripts/log-check.mjs looks for secrets after the run. Warnings and errors
// go to the console, unless a test listens itself. It does not hear child processes.

import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll } from 'vitest'
import '../../ts/base/core-log.js'
import { type LogRecord, setLogger } from '../../ts/base/log.js'

const folder = join(import.meta.dirname, '../../.cache/logs')
const file = join(folder, `${process.pid}.log`)
let waiting: string[] = []

function flush(): void {
  if (waiting.length === 0) return
  appendFileSync(file, waiting.join(''))
  waiting = []
}

function keep({ level, message, fields }: LogRecord): void {
  waiting.push(`${level} ${message} ${inspect(fields, { depth: 6, breakLength: Infinity })}\n`)
  if (waiting.length >= 1_000) flush()
}

function show({ level, message, fields }: LogRecord): void {
  if (level === 'error' || level === 'warn') console[level](`roomhook: ${message}`, fields)
}

/** Gives all records to this sink, and keeps them for the check after the run. Without one: what the suite begins with. */
export function listen(sink: (record: LogRecord) => void = show): void {
  setLogger({
    level: 'trace',
    sink: (record) => {
      keep(record)
      sink(record)
    },
  })
}

mkdirSync(folder, { recursive: true })
listen()
afterAll(flush)
