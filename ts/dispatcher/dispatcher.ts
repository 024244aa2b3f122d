// The dispatcher as its user holds it: build, start, listen, drain, close. Construction checks the configuration and
// opens nothing; a failed start leaves nothing open; a closed dispatcher lets the process exit.

import { checkSignal, withSignal } from '../base/abort.js'
import { ClosedError } from '../base/errors.js'
import { TypedEmitter } from '../base/events.js'
import { log } from '../base/log.js'
import { awaitNative, callNative, native } from '../base/native.js'
import { checkOptions } from '../base/options.js'
import { harmless } from '../base/promises.js'
import type { DispatcherEventMap, WireEvent } from './events.js'
import { type DispatcherOptions, optionsText } from './options.js'

/** Events fetched in one crossing. */
const BATCH = 64

/** A promise that ends no process when nobody awaits it. */
function kept<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** Where a started dispatcher is. */
export interface DispatcherAddress {
  /** The address that it listens on. */
  host: string
  /** The port. */
  port: number
}

/**
 * A dispatcher: registers with LiveKit as a worker, turns its jobs into signed webhooks, and passes the agents' statuses
 * back. While it is started it keeps the process alive.
 */
export class Dispatcher extends TypedEmitter<DispatcherEventMap> {
  static {
    harmless(this)
  }

  readonly #native: native.NativeDispatcher
  #place: native.NativeDispatcherAddress | undefined
  #starting: Promise<this> | undefined
  #closing: Promise<void> | undefined
  #pump: Promise<void> = Promise.resolve()

  /** @internal Use `createDispatcher`. */
  constructor(build: () => native.NativeDispatcher) {
    super()
    this.#native = callNative(build)
    for (const warning of this.#native.warnings()) log.warn('the configuration is not wise', { what: warning })
  }

  /** Where the status endpoint listens; undefined before it is started. */
  get address(): DispatcherAddress | undefined {
    return this.#place === undefined ? undefined : { host: this.#place.host, port: this.#place.port }
  }

  /** How agents reach the status endpoint, without a trailing slash; undefined before it is started. */
  get url(): string | undefined {
    return this.#place?.url
  }

  /** How many jobs are open: taken and not yet over. */
  get activeJobs(): number {
    return callNative(() => this.#native.activeJobs())
  }

  /**
   * Opens the store, takes the port and registers with LiveKit; resolves when every worker socket is registered. Jobs
   * that an earlier run on the same store left unfinished are taken up again.
   *
   * A start that fails leaves nothing open, and closes the dispatcher; for another try, create another one.
   *
   * @throws {ConfigError} `CONFIG_INVALID`: wrong API key or secret, port in use.
   * @throws {ConnectionError} `STORE_UNAVAILABLE`: the store; `TRANSPORT_FAILED` (retryable): no LiveKit within `startTimeoutMs`.
   * @throws {ClosedError} `CLOSED`, or `ABORTED` by `options.signal`.
   */
  start(options: { signal?: AbortSignal | undefined } = {}): Promise<this> {
    return kept(this.#startOnce(options))
  }

  async #startOnce(options: { signal?: AbortSignal | undefined }): Promise<this> {
    const signal = checkSignal(checkOptions(options, 'options', ['signal']).signal, 'options.signal')
    if (this.#closing !== undefined) throw new ClosedError('CLOSED', 'the dispatcher is closed')
    this.#starting ??= this.#start(signal)
    return this.#starting
  }

  async #start(signal: AbortSignal | undefined): Promise<this> {
    try {
      this.#place = await withSignal(
        signal,
        () => awaitNative(() => this.#native.start()),
        () => void this.close(),
      )
    } catch (error) {
      await this.close()
      throw error
    }
    this.#pump = kept(this.#pumpEvents())
    return this
  }

  async #pumpEvents(): Promise<void> {
    for (;;) {
      const text = await this.#native.nextEvents(BATCH)
      if (text === null || text === undefined) return
      // Listeners attached in the tick after `start` resolves miss nothing.
      await new Promise((resolve) => setImmediate(resolve))
      for (const event of JSON.parse(text) as WireEvent[]) this.#announce(event)
    }
  }

  #announce({ type, ...event }: WireEvent): void {
    // A wrong path or secret shows here alone, and a dispatcher nobody listens to must not be silent about it.
    if (type === 'deliveryExhausted' && this.listenerCount(type) === 0) {
      log.warn('an endpoint did not take a job', { ...event })
    }
    if (type === 'delivered' && 'parsed' in event && !event.parsed) {
      log.warn('an endpoint took a job without a readable answer', { reason: 'accepted_unparsed', jobId: event.jobId })
    }
    if (type === 'delivered' && 'identityMismatch' in event && event.identityMismatch === true) {
      log.warn('an endpoint took a job under an identity that its token does not carry; the token decides', {
        reason: 'identity_mismatch',
        jobId: event.jobId,
      })
    }
    if (type === 'atCapacity' && 'maxJobs' in event) {
      log.warn('as many jobs are open as maxJobs allows: offers are declined', { maxJobs: event.maxJobs })
    }
    this.deliver(type, event as never)
  }

  /**
   * Takes no new jobs and waits until every delivery has its outcome, at most `drainTimeoutMs`. Resolves to the number
   * of deliveries still open; a later start on the same store continues those. Close it afterwards.
   *
   * @throws {ClosedError} `CLOSED`: not started, or closed.
   */
  drain(): Promise<number> {
    return kept(this.#drain())
  }

  async #drain(): Promise<number> {
    if (this.#place === undefined || this.#closing !== undefined) {
      const state = this.#closing === undefined ? 'not started' : 'closed'
      throw new ClosedError('CLOSED', `the dispatcher is ${state}`)
    }
    return awaitNative(() => this.#native.drain())
  }

  /**
   * Ends everything: sockets, port, store. Agents that run are not affected; deliveries that are not finished are
   * continued by a later start on the same store. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= kept(this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    await awaitNative(() => this.#native.close())
    await this.#pump
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Builds a dispatcher from options; `start` starts it.
 *
 * @throws {ConfigError} `CONFIG_INVALID`, with the option's path in the message.
 */
export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return new Dispatcher(() => new native.NativeDispatcher(optionsText(options)))
}

/**
 * Builds a dispatcher from a YAML text, as `roomhook dispatch --config` does.
 *
 * @throws {ConfigError} `CONFIG_INVALID`, with line and column in the message.
 */
export function createDispatcherFromYaml(text: string, variables: NodeJS.ProcessEnv): Dispatcher {
  const known = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined))
  return new Dispatcher(() => native.NativeDispatcher.fromYaml(text, known as Record<string, string>))
}
