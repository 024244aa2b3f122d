// Finds a header in whatever shape a server hands headers over. Lines of the same name stay apart (joined by a line
// feed, which no header value can hold), because a repeated signature must be refused; it judges nothing itself.

import type { IncomingHttpHeaders } from 'node:http'
import { invalid } from '../base/options.js'

/**
 * Request headers: a `Headers` object, `request.headers`, `request.headersDistinct` or `request.rawHeaders` of
 * `node:http`, a record in any case, or an array of name and value pairs. Only raw and distinct headers show that a
 * line came twice; the others have joined it.
 */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | IncomingHttpHeaders
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | readonly string[]
  | readonly (readonly [string, string])[]

/** The lines of a header, joined with line feeds; empty if there is none. `name` is in lower case. */
export function headerLines(headers: WebhookHeaders, name: string): string {
  if (typeof headers !== 'object' || headers === null) {
    throw invalid('headers', 'a Headers object, a record or an array of raw header lines', headers)
  }
  if (Array.isArray(headers)) return fromArray(headers as readonly unknown[], name)
  const record = headers as Readonly<Record<string, unknown>>
  if (typeof record.get === 'function') return checked(record.get(name) ?? '', name)
  const direct = record[name]
  return typeof direct === 'string' ? direct : fromRecord(record, name)
}

function fromRecord(record: Readonly<Record<string, unknown>>, name: string): string {
  const lines: string[] = []
  for (const [key, value] of Object.entries(record)) {
    if (value === undefined || key.toLowerCase() !== name) continue
    if (Array.isArray(value)) lines.push(...value.map((line) => checked(line, name)))
    else lines.push(checked(value, name))
  }
  return lines.join('\n')
}

function fromArray(raw: readonly unknown[], name: string): string {
  const pairs = Array.isArray(raw[0])
  const lines: string[] = []
  for (let index = 0; index < raw.length; index += pairs ? 1 : 2) {
    const [key, value] = pairs ? (raw[index] as readonly unknown[]) : [raw[index], raw[index + 1]]
    if (checked(key, 'name').toLowerCase() === name) lines.push(checked(value, name))
  }
  return lines.join('\n')
}

function checked(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(`headers.${name}`, 'a string', value)
  return value
}
