// One turn's captured headers, and how calls inside find them: an explicit handle first, the running async context as
// a convenience. What may go to which call is the core's decision.

import { AsyncLocalStorage } from 'node:async_hooks'
import { native } from '../base/native.js'
import { checkFunction, checkString, invalid } from '../base/options.js'
import { type NativeTurn, record } from './headers.js'
import type { HeaderTarget } from './scope.js'

/** The turns the running code is in, and their headers, an inner one's above an outer one's. */
interface Running {
  turns: readonly HeaderTurn[]
  headers: NativeTurn
}

const running = new AsyncLocalStorage<Running>()
const nothing = (): void => undefined
const none = native.headerTurn('')

/** A turn whose handlers have run. */
export class HeaderTurn {
  readonly #registry: object
  readonly #headers: NativeTurn | undefined

  /** @internal `headers`: `undefined` if the handlers added nothing. */
  constructor(registry: object, headers: NativeTurn | undefined) {
    this.#registry = registry
    this.#headers = headers
  }

  /** The turn's headers for one call; without a target only those that may go anywhere. A new object each time. */
  headers(target: HeaderTarget = {}): Record<string, string> {
    return headersOf(this.#headers ?? none, checkTarget(target))
  }

  /** Runs a function inside the turn: calls made in it, and in what it starts, carry the headers. */
  run<R>(fn: () => R): R {
    checkFunction(fn, 'fn')
    const outside = running.getStore()
    if (this.#headers === undefined && outside === undefined) return fn()
    const turns = [...(outside?.turns ?? []).filter((turn) => turn.#registry !== this.#registry), this]
    let headers = none
    for (const turn of turns) {
      const own = turn.#headers
      if (own !== undefined) headers = headers === none ? own : native.turnInside(own, headers)
    }
    return running.run({ turns, headers }, fn)
  }

  /** @internal What a call carries: the headers of the turn given, else of those the running context is inside of. */
  static of(turn: HeaderTurn | undefined): NativeTurn | undefined {
    return turn === undefined ? running.getStore()?.headers : turn.#headers
  }
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
  const found = HeaderTurn.of(turn)
  if (found === undefined) return undefined
  const headers = headersOf(found, target)
  return Object.keys(headers).length === 0 ? undefined : headers
}

function headersOf(turn: NativeTurn, { provider, baseURL }: HeaderTarget): Record<string, string> {
  return record(native.turnHeaders(turn, provider, baseURL), nothing)
}

function checkTarget(target: HeaderTarget): HeaderTarget {
  if (typeof target !== 'object' || target === null) throw invalid('target', 'an object', target)
  const { provider, baseURL } = target
  if (provider !== undefined) checkString(provider, 'target.provider')
  if (baseURL !== undefined) checkString(baseURL, 'target.baseURL')
  return target
}
