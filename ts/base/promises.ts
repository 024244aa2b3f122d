// Promises that somebody may leave alone, and those who wait for one thing to happen. What a promise of ours rejects with
// is for whoever awaits it; if nobody does, it never ends the process.

import { withSignal } from './abort.js'
import { log } from './log.js'

/**
 * Makes the async methods of a class harmless to whoever forgets to await them: a rejection that nobody sees is told at
 * level `debug` instead of ending the process. Use it in a static block of the class: `static { harmless(this) }`.
 */
export function harmless(type: { readonly name: string; readonly prototype: object }): void {
  for (const key of Reflect.ownKeys(type.prototype)) {
    const { value: method, ...rest } = Object.getOwnPropertyDescriptor(type.prototype, key) ?? {}
    if (typeof method !== 'function' || method.constructor.name !== 'AsyncFunction') continue
    const value = function (this: unknown, ...args: unknown[]): Promise<unknown> {
      const promise = Reflect.apply(method, this, args) as Promise<unknown>
      promise.catch((error: unknown) => {
        const { name, code } = error as { name?: unknown; code?: unknown }
        log.debug('a call failed', { call: `${type.name}.${String(key)}`, name, code })
      })
      return promise
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
