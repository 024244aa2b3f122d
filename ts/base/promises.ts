// Promises that somebody may leave alone, and those who wait for one thing to happen. What a promise of ours rejects with
// is for whoever awaits it; if nobody does, it never ends the process, as an unhandled rejection would, and is told.

import { withSignal } from './abort.js'
import { log } from './log.js'

/** Knows whether anybody has asked for its outcome. What is derived from it is the caller's own. */
class HandedOut<T> extends Promise<T> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  awaited = false

  // biome-ignore lint/suspicious/noThenProperty: to see who asks is what it is for
  override then<A = T, B = never>(
    resolved?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.awaited = true
    return super.then(resolved, rejected)
  }
}

/**
 * A promise as it is given to a user.
 *
 * @param unseen Hears of its failure if nobody has awaited it by then. Default: a warning tells it.
 */
export function handOut<T>(promise: Promise<T>, unseen: (error: unknown) => void = tell): Promise<T> {
  if (promise instanceof HandedOut) return promise
  const handed: HandedOut<T> = new HandedOut<T>((resolve, reject) => {
    promise.then(resolve, (error: unknown) => {
      reject(error)
      // Whoever awaits it does so in a microtask before this.
      setImmediate(() => {
        if (!handed.awaited) unseen(error)
      })
    })
  })
  // Handled, whatever the user does; not through its own `then`, which would count.
  Promise.prototype.then.call(handed, undefined, () => undefined)
  return handed
}

/** Without its message, which may name what the call was given. */
function tell(error: unknown, call?: string): void {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  log.warn('a call failed, and nobody awaited its promise', { ...(call === undefined ? {} : { call }), name, code })
}

/** Makes the async methods of a class hand out their promises. In a static block: `static { harmless(this) }`. */
export function harmless(type: { readonly name: string; readonly prototype: object }): void {
  for (const key of Reflect.ownKeys(type.prototype)) {
    const { value: method, ...rest } = Object.getOwnPropertyDescriptor(type.prototype, key) ?? {}
    if (typeof method !== 'function' || method.constructor.name !== 'AsyncFunction') continue
    const call = `${type.name}.${String(key)}`
    const value = function (this: unknown, ...args: unknown[]): Promise<unknown> {
      return handOut(Reflect.apply(method, this, args) as Promise<unknown>, (error) => tell(error, call))
    }
    Object.defineProperty(value, 'name', { value: method.name })
    Object.defineProperty(value, 'length', { value: method.length })
    Object.defineProperty(type.prototype, key, { ...rest, value })
  }
}

interface Waiter<T> {
  resolve(value: T): void
  reject(error: Error): void
}

/**
 * Something that happens once, or never will. **Each that waits is answered by whichever comes first: that it happens,
 * that it cannot any more, or its own signal.** Nothing rejects while nobody waits.
 */
export class Happening<T> {
  readonly #waiting = new Set<Waiter<T>>()
  #answer: ((waiter: Waiter<T>) => void) | undefined

  /** It happened. Only the first of `happened` and `never` counts. */
  happened(value: T): void {
    this.#settle((waiter) => waiter.resolve(value))
  }

  /** It will not happen; each that waits gets an error of its own. */
  never(error: () => Error): void {
    this.#settle((waiter) => waiter.reject(error()))
  }

  /** @throws {ClosedError} `ABORTED` if the signal aborts, or what `never` was told. */
  wait(signal: AbortSignal | undefined): Promise<T> {
    let mine: Waiter<T> | undefined
    const run = () =>
      new Promise<T>((resolve, reject) => {
        mine = { resolve, reject }
        if (this.#answer === undefined) this.#waiting.add(mine)
        else this.#answer(mine)
      })
    return withSignal(signal, run, () => mine !== undefined && this.#waiting.delete(mine))
  }

  #settle(answer: (waiter: Waiter<T>) => void): void {
    if (this.#answer !== undefined) return
    this.#answer = answer
    for (const waiter of this.#waiting) answer(waiter)
    this.#waiting.clear()
  }
}
