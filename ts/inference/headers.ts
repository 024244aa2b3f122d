// Headers on this side of the boundary: what users give, as entries, and the one call into the core that makes a
// request's headers of them. It decides nothing about names, values and precedence: src/inference does. An entry that may
// not be sent is dropped and reported by name; it refuses to fail a request for one bad entry.

import { log } from '../base/log.js'
import { native } from '../base/native.js'
import { checkString, invalid } from '../base/options.js'

/** Headers as users give them. `undefined` and `null` values are skipped. */
export type HeaderInput =
  | Headers
  | readonly (readonly [string, string])[]
  | Readonly<Record<string, string | null | undefined>>

/** One header: name and value. */
export type HeaderEntry = readonly [name: string, value: string]

/** Is told about every entry that was dropped: its name as a log line may show it, and the reason, never its value. */
export type OnDrop = (name: string, reason: string) => void

/** What the requests of one transport have in common, prepared in the core. */
export type HeaderRules = ReturnType<typeof native.headerRules>
/** A turn's headers, held by the core. */
export type NativeTurn = ReturnType<typeof native.headerTurn>

/** One request's headers. */
export interface RequestHeaders {
  rules: HeaderRules
  /** What hooks added. */
  turn?: NativeTurn | undefined
  /** The SDK's own values: `ownValues`. */
  own: string
  /** The caller's entries: `join`. */
  call: string
  /** With a fresh session id. */
  session: boolean
}

/** Merges the layers of one request into a plain record. */
export function mergeHeaders({ rules, turn, own, call, session }: RequestHeaders, onDrop: OnDrop) {
  return record(native.mergeHeaders(rules, turn, own + call, session), onDrop)
}

/** Reads an answer of the core: the headers, then what was dropped. */
export function record(json: string, onDrop: OnDrop): Record<string, string> {
  const answer = JSON.parse(json) as [Record<string, string>, ...[name: string, reason: string][]]
  for (let at = 1; at < answer.length; at++) onDrop(...(answer[at] as [string, string]))
  return answer[0]
}

/** Entries as the core takes them: each a NUL, its name, a NUL and its value. */
export function join(entries: readonly HeaderEntry[]): string {
  let text = ''
  for (const [name, value] of entries) text += `\0${clean(name)}\0${clean(value)}`
  return text
}

/** A text without NUL; U+0001 in its place is refused just the same. */
export function clean(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\x01') : text
}

const HEADERS_EXPECTED = 'a Headers object, an array of [name, value] pairs or an object of strings'

/**
 * The entries of headers in any of their forms. A value that is no string, or whose getter throws, is left out and
 * reported.
 * @throws ConfigError `CONFIG_INVALID` for anything that is not headers.
 */
export function headerEntries(input: HeaderInput | undefined, path: string, onDrop: OnDrop): HeaderEntry[] {
  if (input === undefined) return []
  if (!isHeaders(input)) throw invalid(path, HEADERS_EXPECTED, input)
  return anyEntries(input, onDrop, (pair, at) => {
    throw invalid(`${path}[${at}]`, 'a pair of name and value', pair)
  })
}

/** Whether a value is headers in one of their forms. */
export function isHeaders(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Map || value instanceof Set)
}

/**
 * As `headerEntries`, for what {@link isHeaders}; `onOdd` is told of members of an array that are no pairs. An entry whose
 * value is no string stays in its place with the `instead` given.
 */
export function anyEntries(
  input: object,
  onDrop: OnDrop,
  onOdd: (pair: unknown, at: number) => void,
  instead?: string,
): HeaderEntry[] {
  if (input instanceof Headers) return [...input]
  const entries: HeaderEntry[] = []
  const add = (name: string, read: () => unknown): void => {
    let value: unknown
    try {
      value = read()
    } catch {
      value = Number.NaN
    }
    if (value === undefined || value === null) return
    if (typeof value !== 'string') onDrop(native.printableHeaderName(name), 'value-not-a-string')
    const sent = typeof value === 'string' ? value : instead
    if (sent !== undefined) entries.push([name, sent])
  }
  if (Array.isArray(input)) {
    input.forEach((pair: unknown, at) => {
      if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') onOdd(pair, at)
      else add(pair[0], () => pair[1])
    })
  } else {
    for (const name of Object.keys(input)) add(name, () => (input as Record<string, unknown>)[name])
  }
  return entries
}

/** A reporter that writes one warning for each dropped entry. */
export function warnDropped(by: Readonly<Record<string, string>>): OnDrop {
  return (header, reason) => log.warn('a header was not sent', { ...by, header, reason })
}

/** A reporter that warns once for each name and reason, for objects that live long and serve many requests. */
export function warnDroppedOnce(by: Readonly<Record<string, string>>): OnDrop {
  const seen = new Set<string>()
  const warn = warnDropped(by)
  return (name, reason) => {
    const key = `${reason} ${name.toLowerCase()}`
    if (seen.has(key)) return
    if (seen.size < 256) seen.add(key)
    warn(name, reason)
  }
}

/**
 * Percent-encodes a text (a display name, say) so that it fits a header value: UTF-8, everything escaped but
 * `A-Z a-z 0-9 - _ . ! ~ * ' ( )`. `decodeURIComponent` gives it back; a lone surrogate becomes U+FFFD.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for anything but a string.
 */
export function encodeHeaderValue(text: string): string {
  return native.percentEncode(checkString(text, 'text'))
}
