// The one merge every inference request goes through: SDK User-Agent < hooks < the caller < the SDK's own names, compared
// without regard to case, one field per name, spelled as its winner spelled it. An entry that may not be sent is dropped
// and reported by name; it refuses to fail a request for one bad entry. src/inference/merge.rs is its reference.

import { log } from '../base/log.js'
import { invalid } from '../base/options.js'
import {
  checkName,
  checkOwnValue,
  checkValue,
  type DropReason,
  isForbiddenName,
  printableName,
  SDK_OWNED,
} from './names.js'

/** Headers as users give them. `undefined` and `null` values are skipped. */
export type HeaderInput =
  | Headers
  | readonly (readonly [string, string])[]
  | Readonly<Record<string, string | null | undefined>>

/** One header: name and value. */
export type HeaderEntry = readonly [name: string, value: unknown]

/** Is told about every entry that was dropped: its name and the reason, never its value. */
export type OnDrop = (name: string, reason: DropReason) => void

/** What one request is made of, lowest precedence first. */
export interface HeaderLayers {
  /** The SDK's User-Agent. */
  userAgent: string
  /** What hooks added; they were checked when they were captured. */
  hook?: Readonly<Record<string, string>> | undefined
  /** What the caller gave for this request. */
  call?: readonly HeaderEntry[] | undefined
  /** The SDK's own headers; an empty or malformed value omits that header and no other. */
  own: readonly HeaderEntry[]
  /** Also drop the names that a transport writes itself (`Host`, `Connection`, …). Default: false. */
  forbidTransport?: boolean
}

/** Merges the layers into a plain record. */
export function mergeHeaders(layers: HeaderLayers, onDrop: OnDrop): Record<string, string> {
  const names: string[] = ['User-Agent']
  const lowers: string[] = ['user-agent']
  const values: string[] = [layers.userAgent]
  const put = (name: string, lower: string, value: string): void => {
    let at = lowers.indexOf(lower)
    if (at < 0) at = lowers.length
    names[at] = name
    lowers[at] = lower
    values[at] = value
  }
  if (layers.hook !== undefined) {
    for (const name in layers.hook) put(name, name.toLowerCase(), layers.hook[name] as string)
  }
  if (layers.call !== undefined) {
    for (const [name, value] of layers.call) {
      if (value === undefined || value === null) continue
      const lower = name.toLowerCase()
      const wrong = checkCallEntry(name, lower, value, layers.forbidTransport === true)
      if (wrong !== undefined) onDrop(name, wrong)
      else put(name, lower, value as string)
    }
  }
  for (const [name, value] of layers.own) {
    if (value === undefined || value === null || value === '') continue
    const wrong = checkOwnValue(value)
    if (wrong === undefined) put(name, name.toLowerCase(), value as string)
    else if (wrong !== 'value-empty') onDrop(name, wrong)
  }
  const merged: Record<string, string> = {}
  for (let at = 0; at < names.length; at++) merged[names[at] as string] = values[at] as string
  return merged
}

function checkCallEntry(name: string, lower: string, value: unknown, forbid: boolean): DropReason | undefined {
  const wrong = checkName(name)
  if (wrong !== undefined) return wrong
  if (SDK_OWNED.has(lower)) return 'name-sdk-owned'
  if (lower === '__proto__') return 'name-forbidden'
  if (forbid && (isForbiddenName(lower) || lower.startsWith('sec-websocket-'))) return 'name-forbidden'
  return checkValue(value)
}

/**
 * The entries of headers in any of their forms. A property whose getter throws is left out and reported.
 * @throws ConfigError `CONFIG_INVALID` for anything that is not headers.
 */
export function headerEntries(input: HeaderInput | undefined, path: string, onDrop: OnDrop): HeaderEntry[] {
  if (input === undefined) return []
  if (input === null || typeof input !== 'object') throw invalid(path, HEADERS_EXPECTED, input)
  if (Array.isArray(input)) return pairs(input, path)
  if (input instanceof Headers) return [...input]
  if (input instanceof Map || input instanceof Set) throw invalid(path, HEADERS_EXPECTED, input)
  return recordEntries(input as Readonly<Record<string, unknown>>, onDrop)
}

const HEADERS_EXPECTED = 'a Headers object, an array of [name, value] pairs or an object of strings'

function pairs(input: readonly unknown[], path: string): HeaderEntry[] {
  return input.map((pair, at): HeaderEntry => {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw invalid(`${path}[${at}]`, 'a pair of name and value', pair)
    }
    return [pair[0], pair[1]]
  })
}

/** The own entries of an object, read one by one so that a getter that throws costs only its own entry. */
export function recordEntries(input: Readonly<Record<string, unknown>>, onDrop: OnDrop): HeaderEntry[] {
  const entries: HeaderEntry[] = []
  for (const name of Object.keys(input)) {
    try {
      entries.push([name, input[name]])
    } catch {
      onDrop(name, 'value-not-a-string')
    }
  }
  return entries
}

/** A reporter that writes one warning for each dropped entry. */
export function warnDropped(by: Readonly<Record<string, string>>): OnDrop {
  return (name, reason) => {
    log.warn('a header was not sent', { ...by, header: printableName(name), reason })
  }
}

/** A reporter that warns once for each name and reason, for objects that live long and serve many requests. */
export function warnDroppedOnce(by: Readonly<Record<string, string>>): OnDrop {
  const seen = new Set<string>()
  const warn = warnDropped(by)
  return (name, reason) => {
    const key = `${reason} ${printableName(name).toLowerCase()}`
    if (seen.has(key)) return
    if (seen.size < 256) seen.add(key)
    warn(name, reason)
  }
}
