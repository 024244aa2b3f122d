// Where a header may go: to which providers and under which base URLs. It fails closed: a scope that names base URLs
// never matches a call whose base URL is unknown.

import { checkOptions, checkText, checkUrl, invalid } from '../base/options.js'

/** Limits headers to some providers or base URLs. Empty or absent lists do not limit. */
export interface HeaderScope {
  /** Provider names. `openai` also covers the AI SDK's `openai.chat`, `openai.responses`, …. */
  providers?: readonly string[]
  /** Base URLs. A call matches when its base URL has the same origin and lies at or below the path. */
  baseURLs?: readonly string[]
}

/** The call that headers are wanted for. */
export interface HeaderTarget {
  /** The provider's name, e.g. `livekit` or the AI SDK's `openai.chat`. */
  provider?: string | undefined
  /** The URL that the provider's paths are appended to. */
  baseURL?: string | undefined
}

/** A checked scope. */
export interface Scope {
  providers: readonly string[]
  baseURLs: readonly URL[]
}

/** Checks a scope; `undefined` when it limits nothing. */
export function checkScope(value: HeaderScope, path: string): Scope | undefined {
  const given = checkOptions(value, path, ['providers', 'baseURLs'])
  const providers = list(given.providers, `${path}.providers`).map((entry, at) =>
    checkText(entry, `${path}.providers[${at}]`),
  )
  const baseURLs = list(given.baseURLs, `${path}.baseURLs`).map(
    (entry, at) => new URL(checkUrl(entry, `${path}.baseURLs[${at}]`, ['http', 'https', 'ws', 'wss'])),
  )
  return providers.length === 0 && baseURLs.length === 0 ? undefined : { providers, baseURLs }
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw invalid(path, 'an array of strings', value)
  return value
}

/** Whether a call lies within every one of the scopes. */
export function inScopes(scopes: readonly Scope[], target: HeaderTarget): boolean {
  return scopes.every((scope) => inScope(scope, target))
}

function inScope(scope: Scope, { provider, baseURL }: HeaderTarget): boolean {
  const named = scope.providers.length === 0 || scope.providers.some((name) => covers(name, provider))
  return named && (scope.baseURLs.length === 0 || below(scope.baseURLs, baseURL))
}

function covers(name: string, provider: string | undefined): boolean {
  return provider !== undefined && (provider === name || provider.startsWith(`${name}.`))
}

function below(bases: readonly URL[], baseURL: string | undefined): boolean {
  if (baseURL === undefined || !URL.canParse(baseURL)) return false
  const url = new URL(baseURL)
  return bases.some((base) => base.origin === url.origin && directory(url).startsWith(directory(base)))
}

function directory(url: URL): string {
  return url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`
}
