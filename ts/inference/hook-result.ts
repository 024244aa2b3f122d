// What one handler's answer comes to: entries for the core to judge. It refuses nothing loudly and nothing in silence: a
// wrong answer or entry is dropped with a warning that names the plugin and what was wrong, never a value.

import { log } from '../base/log.js'
import { native } from '../base/native.js'
import { kindOf } from '../base/options.js'
import { anyEntries, type HeaderEntry, isHeaders } from './headers.js'

const ANSWER = '{ headers: { … } } or nothing'
const HEADERS = 'headers as a Headers object, an array of [name, value] pairs or an object of strings'

/** In place of a value that is no string: the core refuses it in its turn, after the name. */
const NO_STRING = '\x01'

/**
 * The entries of one handler's answer. What is no answer adds none, what is no entry is left out; `noStrings` gets the
 * names whose values are no strings.
 */
export function resultEntries(result: unknown, plugin: string, noStrings: Set<string>): HeaderEntry[] {
  const ignored = (expected: string, got: string): [] => {
    log.warn('a header hook answered something else, which was ignored', { plugin, expected, got })
    return []
  }
  if (result === undefined || result === null) return []
  if (typeof result !== 'object' || Array.isArray(result)) return ignored(ANSWER, kindOf(result))
  let headers: unknown
  try {
    headers = (result as { headers?: unknown }).headers
    const others = othersIn(result)
    if (others !== undefined) ignored(ANSWER, others)
  } catch {
    return ignored(ANSWER, kindOf(result))
  }
  if (headers === undefined || headers === null) return []
  if (!isHeaders(headers)) return ignored(HEADERS, kindOf(headers))
  let odd: unknown
  let odds = 0
  const entries = anyEntries(
    headers,
    (name) => noStrings.add(name),
    (member) => {
      odd = member
      odds += 1
    },
    NO_STRING,
  )
  if (odds > 0) ignored(HEADERS, `an array with ${kindOf(odd)} in it`)
  return entries
}

/** What stands beside or in place of `headers`, if anything: headers that were not put into it, say. */
function othersIn(result: object): string | undefined {
  const others = Object.keys(result).filter((name) => name !== 'headers')
  if (others.length > 0) return `an object with ${others.slice(0, 5).map(native.printableHeaderName).join(', ')}`
  const bare = Object.getPrototypeOf(result) === Object.prototype || Object.getPrototypeOf(result) === null
  return bare || 'headers' in result ? undefined : kindOf(result)
}
