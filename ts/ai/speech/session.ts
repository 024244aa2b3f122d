// One session on a socket of the gateway: JSON out, JSON in, an idle limit, and an end that always comes. A message that
// is not an object with a type is ignored, as the protocol grows.

import { ConnectionError } from '../../base/errors.js'
import { sessionError } from '../gateway-error.js'

/** What a session needs of a socket; an `InferenceSocket` has it. */
export interface Wire {
  /** False when it was not taken: the queue is full, or the socket has ended. */
  send(text: string): boolean
  /** Waits for room; false when the socket has ended. */
  ready(): Promise<boolean>
  /** The next message; `undefined` once the socket is closed. Rejects if the connection broke. */
  receive(): Promise<string | Uint8Array | undefined>
  close(): Promise<void>
}

/** One message of the gateway. */
export interface ServerMessage {
  type: string
  [field: string]: unknown
}

/** How long the gateway may be silent while an answer is due, in milliseconds. */
export const IDLE_MS = 30_000

type Silence = 'quiet' | 'woken'

/** See the top of the file. */
export class Session {
  readonly #wire: Wire
  #pending: Promise<string | Uint8Array | undefined> | undefined
  #wake: (() => void) | undefined

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Sends a message as soon as there is room. On a socket that has ended it does nothing: receiving tells why. */
  async send(message: ServerMessage): Promise<void> {
    const text = JSON.stringify(message)
    while (!this.#wire.send(text)) if (!(await this.#wire.ready())) return
  }

  /**
   * The next message; `quiet` after so many milliseconds without one (`undefined`: never), `woken` by `wake`; `undefined`
   * once the socket is closed.
   * @throws the error that the gateway reports.
   */
  async next(quietMs: number | undefined): Promise<ServerMessage | Silence | undefined> {
    for (;;) {
      const received = await this.#receive(quietMs)
      if (typeof received === 'string') return received
      if (received.data === undefined) return undefined
      const message = parse(received.data)
      if (message?.type === 'error') throw sessionError(message)
      if (message !== undefined) return message
    }
  }

  /** Ends a wait under way, because how long to wait has changed. */
  wake(): void {
    this.#wake?.()
  }

  /** Says that the session is over, and closes the socket. Never rejects. */
  async end(): Promise<void> {
    this.#pending?.catch(() => {})
    this.#wire.send(JSON.stringify({ type: 'session.close' }))
    await this.#wire.close().catch(() => {})
  }

  // A receive that a timer overtook stays pending, and is the next one's.
  async #receive(quietMs: number | undefined): Promise<{ data: string | Uint8Array | undefined } | Silence> {
    this.#pending ??= this.#wire.receive()
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<Silence>((resolve) => {
      this.#wake = () => resolve('woken')
      if (quietMs !== undefined) timer = setTimeout(() => resolve('quiet'), quietMs)
    })
    try {
      const received = await Promise.race([this.#pending.then((data) => ({ data })), silence])
      if (typeof received === 'object') this.#pending = undefined
      return received
    } catch (error) {
      this.#pending = undefined
      throw error
    } finally {
      clearTimeout(timer)
      this.#wake = undefined
    }
  }
}

function parse(data: string | Uint8Array): ServerMessage | undefined {
  try {
    const value: unknown = JSON.parse(typeof data === 'string' ? data : Buffer.from(data).toString())
    const { type } = value as { type?: unknown }
    return typeof type === 'string' ? (value as ServerMessage) : undefined
  } catch {
    return undefined
  }
}

/** The error of a session that did not do what was due. */
export function broken(how: string): ConnectionError {
  return new ConnectionError('TRANSPORT_FAILED', `the inference gateway ${how}; try again`, { retryable: true })
}
