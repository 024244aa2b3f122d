// Typed events on Node's own EventEmitter: a listener that throws or rejects never harms the process, and the other
// listeners still run. The failure is emitted as `error` where somebody listens for it, and logged otherwise.

import { EventEmitter } from 'node:events'
import { log } from './log.js'

type Listener = (...args: never[]) => unknown

/** An `EventEmitter` whose events and listener arguments are known by a map of tuples. */
export class TypedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter<Events> {
  constructor() {
    super({ captureRejections: true })
    Object.defineProperty(this, Symbol.for('nodejs.rejection'), {
      value: (error: unknown, event: string | symbol) => this.reportListenerFailure(error, event),
    })
  }

  /** Calls every listener of an event. One that throws does not stop the others. */
  protected deliver<K extends keyof Events & string>(event: K, ...args: Events[K]): boolean {
    const listeners = this.rawListeners(event as never) as unknown as Listener[]
    for (const listener of listeners) {
      try {
        const result = Reflect.apply(listener, this, args) as unknown
        if (result instanceof Promise) result.catch((error: unknown) => this.reportListenerFailure(error, event))
      } catch (error) {
        this.reportListenerFailure(error, event)
      }
    }
    return listeners.length > 0
  }

  private reportListenerFailure(error: unknown, event: string | symbol): void {
    if (event !== 'error' && this.listenerCount('error' as never) > 0) {
      this.deliver('error' as keyof Events & string, ...([error] as unknown as Events[keyof Events & string]))
      return
    }
    log.error('a listener failed', { event: String(event), error })
  }
}
