// What one handler's answer comes to: the entries that may be sent. It refuses nothing loudly: a wrong answer or entry is
// dropped with a warning that names the plugin and the header, never the value.

import { log } from '../base/log.js'
import { kindOf } from '../base/options.js'
import { type HeaderInput, headerEntries, recordEntries, warnDropped } from './headers.js'
import { API_KEY_NAME, checkName, checkValue, type DropReason, isForbiddenName, SDK_OWNED } from './names.js'

/** Whose answer it is. */
export interface Asker {
  plugin: string
  /** Whether it may set `x-api-key`. */
  allowApiKey: boolean
}

/** The entries of one handler's answer that may be sent; the others are dropped with a warning each. */
export function resultEntries(result: unknown, { plugin, allowApiKey }: Asker): [string, string][] {
  if (result === undefined || result === null) return []
  const ignored = (what: string, value: unknown): [] => {
    log.warn('a header hook answered something else, which was ignored', {
      plugin,
      expected: what,
      got: kindOf(value),
    })
    return []
  }
  if (typeof result !== 'object' || Array.isArray(result)) return ignored('an object with headers', result)
  const drop = warnDropped({ plugin })
  let headers: unknown
  try {
    headers = (result as { headers?: unknown }).headers
  } catch {
    return ignored('an object with headers', result)
  }
  if (headers === undefined || headers === null) return []
  const plain = typeof headers === 'object' && !Array.isArray(headers) && !(headers instanceof Map)
  if (!plain) return ignored('headers as an object of strings', headers)
  const entries =
    headers instanceof Headers ? [...headers] : recordEntries(headers as Readonly<Record<string, unknown>>, drop)
  return entries.filter((entry): entry is [string, string] => {
    const [name, value] = entry
    if (value === undefined || value === null) return false
    const wrong = checkHookEntry(name, value, allowApiKey)
    if (wrong !== undefined) drop(name, wrong)
    return wrong === undefined
  })
}

function checkHookEntry(name: string, value: unknown, allowApiKey: boolean): DropReason | undefined {
  const wrong = checkName(name)
  if (wrong !== undefined) return wrong
  const lower = name.toLowerCase()
  if (SDK_OWNED.has(lower)) return 'name-sdk-owned'
  if (isForbiddenName(lower) || (lower === API_KEY_NAME && !allowApiKey)) return 'name-forbidden'
  return checkValue(value)
}

/** The headers that the calls of a turn have anyhow, by name in lower case: handlers see them. */
export function baseHeaders(input: HeaderInput | undefined): Map<string, [string, string]> {
  const base = new Map<string, [string, string]>()
  for (const [name, value] of headerEntries(input, 'context.headers', () => undefined)) {
    if (typeof value === 'string') base.set(name.toLowerCase(), [name, value])
  }
  return base
}
