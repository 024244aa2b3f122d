// Where a header may go: to which providers and under which base URLs. Which call that covers is the core's decision.

import { callNative, native } from '../base/native.js'
import { checkOptions, checkText, checkUrl, invalid } from '../base/options.js'

/** Limits headers to some providers or base URLs. Empty or absent lists do not limit. */
export interface HeaderScope {
  /** Provider names. `openai` also covers the AI SDK's `openai.chat`, `openai.responses`, …. */
  providers?: readonly string[] | undefined
  /** Base URLs. A call matches when its base URL has the same origin and lies at or below the path. */
  baseURLs?: readonly string[] | undefined
}

/** The call that headers are wanted for. */
export interface HeaderTarget {
  /** The provider's name, e.g. `livekit` or the AI SDK's `openai.chat`. */
  provider?: string | undefined
  /** The URL that the provider's paths are appended to. */
  baseURL?: string | undefined
}

/** A checked scope. */
export type Scope = ReturnType<typeof native.headerScope>

/** Checks a scope; `undefined` when it limits nothing. */
export function checkScope(value: HeaderScope, path: string): Scope | undefined {
  const given = checkOptions(value, path, ['providers', 'baseURLs'])
  const providers = list(given.providers, `${path}.providers`, checkText)
  const baseURLs = list(given.baseURLs, `${path}.baseURLs`, (entry, at) =>
    checkUrl(entry, at, ['http', 'https', 'ws', 'wss']),
  )
  if (providers.length === 0 && baseURLs.length === 0) return undefined
  return callNative(() => native.headerScope(providers, baseURLs))
}

function list(value: unknown, path: string, check: (entry: unknown, path: string) => string): string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalid(path, 'an array of strings', value)
  return value.map((entry: unknown, at) => check(entry, `${path}[${at}]`))
}
