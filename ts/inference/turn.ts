// One turn's captured headers, and how calls inside find them: an explicit handle first, the running async context as
// a convenience. It refuses to let a header leave the scope it was captured for.

import { AsyncLocalStorage } from 'node:async_hooks'
import { checkFunction, checkString, invalid } from '../base/options.js'
import { type HeaderTarget, inScopes, type Scope } from './scope.js'

/** One captured header. Later ones override earlier ones of the same name. */
export interface Captured {
  name: string
  lower: string
  value: string
  /** It is sent only to calls within all of them. */
  scopes: readonly Scope[]
}

const running = new AsyncLocalStorage<readonly HeaderTurn[]>()

/** A turn whose handlers have run. */
export class HeaderTurn {
  readonly #registry: object
  readonly #captured: readonly Captured[]
  readonly #scoped: boolean
  #all: Readonly<Record<string, string>> | undefined

  /** @internal */
  constructor(registry: object, captured: readonly Captured[]) {
    this.#registry = registry
    this.#captured = captured
    this.#scoped = captured.some((entry) => entry.scopes.length > 0)
  }

  /** The turn's headers for one call; without a target only those that may go anywhere. A new object each time. */
  headers(target: HeaderTarget = {}): Record<string, string> {
    return { ...this.shared(checkTarget(target)) }
  }

  /** Runs a function inside the turn: calls made in it, and in what it starts, carry the headers. */
  run<R>(fn: () => R): R {
    checkFunction(fn, 'fn')
    if (this.#captured.length === 0 && running.getStore() === undefined) return fn()
    const others = (running.getStore() ?? []).filter((turn) => turn.#registry !== this.#registry)
    return running.run([...others, this], fn)
  }

  /** @internal As `headers`, frozen and shared between calls. */
  shared(target: HeaderTarget): Readonly<Record<string, string>> {
    if (this.#scoped) return merge(this.#captured.filter((entry) => inScopes(entry.scopes, target)))
    this.#all ??= merge(this.#captured)
    return this.#all
  }
}

function merge(entries: readonly Captured[]): Readonly<Record<string, string>> {
  const byName = new Map<string, Captured>()
  for (const entry of entries) byName.set(entry.lower, entry)
  return Object.freeze(Object.fromEntries([...byName.values()].map(({ name, value }) => [name, value])))
}

/**
 * The headers that a call made now must carry: those of the turn given, else of the turns the running async context is
 * inside of, an inner one above an outer one. `undefined` when there are none.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for a target or turn that is none.
 */
export function turnHeaders(
  target: HeaderTarget = {},
  turn?: HeaderTurn | undefined,
): Readonly<Record<string, string>> | undefined {
  checkTarget(target)
  if (turn !== undefined && !(turn instanceof HeaderTurn)) throw invalid('turn', 'a turn', turn)
  const turns = turn === undefined ? running.getStore() : [turn]
  if (turns === undefined) return undefined
  if (turns.length === 1) {
    const only = turns[0]?.shared(target) ?? {}
    return isEmpty(only) ? undefined : only
  }
  const merged = merge(
    turns.flatMap((entry) =>
      Object.entries(entry.shared(target)).map(([name, value]) => ({
        name,
        lower: name.toLowerCase(),
        value,
        scopes: [],
      })),
    ),
  )
  return isEmpty(merged) ? undefined : merged
}

function isEmpty(headers: Readonly<Record<string, string>>): boolean {
  for (const _ in headers) return false
  return true
}

function checkTarget(target: HeaderTarget): HeaderTarget {
  if (typeof target !== 'object' || target === null) throw invalid('target', 'an object', target)
  const { provider, baseURL } = target
  if (provider !== undefined) checkString(provider, 'target.provider')
  if (baseURL !== undefined) checkString(baseURL, 'target.baseURL')
  return target
}
