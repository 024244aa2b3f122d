/// <reference types="node" preserve="true" />
// Typed events on Node's own EventEmitter: a listener that throws or rejects never harms the process, and the other
// listeners still run. Its failure is emitted as `error` where somebody listens for that, goes to whoever owns the object
// otherwise, and to the log where nobody does.

import { EventEmitter } from 'node:events'
import { log } from './log.js'

type Listener = (...args: never[]) => unknown

/** An `EventEmitter` whose events and listener arguments are known by a map of tuples. */
export class TypedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter<Events> {
  #owner: ((error: unknown) => void) | undefined

  constructor() {
    super({ captureRejections: true })
    Object.defineProperty(this, Symbol.for('nodejs.rejection'), {
      value: (error: unknown, event: string | symbol, ...args: unknown[]) => this.listenerFailed(error, event, args),
    })
  }

  /**
   * Who hears of a listener's failure that nobody here listens for.
   *
   * @internal
   */
  belongsTo(owner: (error: unknown) => void): void {
    this.#owner = owner
  }

  /** Calls every listener of an event. One that throws does not stop the others. */
  protected deliver<K extends keyof Events & string>(event: K, ...args: Events[K]): boolean {
    const listeners = this.rawListeners(event as never) as unknown as Listener[]
    for (const listener of listeners) {
      try {
        const result = Reflect.apply(listener, this, args) as unknown
        if (result instanceof Promise) result.catch((error: unknown) => this.listenerFailed(error, event, args))
      } catch (error) {
        this.listenerFailed(error, event, args)
      }
    }
    return listeners.length > 0
  }

  /** A listener of an event with these arguments threw or rejected. */
  protected listenerFailed(error: unknown, event: string | symbol, _args: readonly unknown[]): void {
    if (event !== 'error' && this.listenerCount('error' as never) > 0) {
      this.deliver('error' as keyof Events & string, ...([error] as unknown as Events[keyof Events & string]))
    } else if (event !== 'error' && this.#owner !== undefined) {
      this.#owner(error)
    } else {
      log.error('a listener failed', { event: String(event), error })
    }
  }
}
