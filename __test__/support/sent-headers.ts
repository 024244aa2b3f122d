// The header values that a local gateway was sent, for scripts/log-check.mjs, which looks for them in all logs after the
// run. It leaves out tokens (the check knows their shape), what every client sends, LiveKit's identifiers (logs name jobs
// and rooms by them), and plain words.

import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

const PLAIN =
  /^(accept.*|cache-control|connection|content-(length|type)|host|origin|pragma|referer|sec-.*|transfer-encoding|upgrade|user-agent|x-livekit-(agent|job|room)-id|x-livekit-inference-(priority|provider))$/i
/** Tokens; and short values and plain words, which are found in any text. */
const LEFT_OUT = /eyJ|^(.{0,4}|[a-z]+)$/i

const folder = join(import.meta.dirname, '../../.cache/logs')
const file = join(folder, `${process.pid}.sent`)
const known = new Set<string>()
mkdirSync(folder, { recursive: true })

/** Remembers the values of a request's header fields, one to a line. */
export function rememberSent(fields: readonly (readonly [name: string, value: string])[]): void {
  for (const [name, value] of fields) {
    if (LEFT_OUT.test(value) || PLAIN.test(name) || known.has(value)) continue
    known.add(value)
    appendFileSync(file, `${value}\n`)
  }
}
