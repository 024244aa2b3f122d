// One session on a socket of the gateway: JSON out, JSON in, an idle limit, and an end that always comes. A message that
// is not an object with a type is ignored, as the protocol grows.

import {
  brokenAnswer,
  type GatewayCallError,
  gatewayPartError,
  gatewayRequestError,
  saysFailure,
  tookTooLong,
} from '../gateway-error.js'

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
type Received = { data: string | Uint8Array | undefined } | { broke: unknown } | { failed: unknown }

/** See the top of the file. */
export class Session {
  readonly #wire: Wire
  readonly #url: string
  /** Set while a receive of the wire is under way: it outlives a wait that a timer ended, and is the next one's. */
  #receiving = false
  #late: Received | undefined
  #failure: { failed: unknown } | undefined
  #settle: ((outcome: Received | Silence) => void) | undefined

  constructor(wire: Wire, url = '') {
    this.#wire = wire
    this.#url = url
  }

  /** Sends a message as soon as there is room. On a socket that has ended it does nothing: receiving tells why. */
  async send(message: ServerMessage): Promise<void> {
    const text = JSON.stringify(message)
    while (!this.#wire.send(text)) if (!(await this.#wire.ready())) return
  }

  /**
   * The next message; `quiet` after so many milliseconds without one (`undefined`: never), `woken` by `wake`; `undefined`
   * once the socket is closed.
   * @throws the error that the gateway reports, that the connection broke with, or that `fail` was given.
   */
  async next(quietMs: number | undefined): Promise<ServerMessage | Silence | undefined> {
    for (;;) {
      const received = this.#failure ?? (await this.#receive(quietMs))
      if (typeof received === 'string') return received
      if ('failed' in received) throw received.failed
      if ('broke' in received) throw gatewayRequestError(this.#url, received.broke)
      if (received.data === undefined) return undefined
      const text = typeof received.data === 'string' ? received.data : Buffer.from(received.data).toString()
      const message = parse(text)
      if (message === undefined) continue
      if (saysFailure(message)) throw gatewayPartError(this.#url, text)
      if (typeof message.type === 'string') return message as ServerMessage
    }
  }

  /** Ends a wait under way, because how long to wait has changed. */
  wake(): void {
    this.#settle?.('woken')
  }

  /** Ends a wait under way and every later one, because the input failed. */
  fail(error: unknown): void {
    this.#failure = { failed: error }
    this.#settle?.(this.#failure)
  }

  /** Says that the session is over, and closes the socket. Never rejects. */
  async end(): Promise<void> {
    this.#wire.send(JSON.stringify({ type: 'session.close' }))
    await this.#wire.close().catch(() => {})
  }

  // No wait holds on to the receive under way, which may last for hours: whichever wait there is when it ends gets it.
  #receive(quietMs: number | undefined): Promise<Received | Silence> {
    return new Promise((resolve) => {
      const timer = quietMs === undefined ? undefined : setTimeout(() => this.#settle?.('quiet'), quietMs)
      this.#settle = (outcome) => {
        clearTimeout(timer)
        this.#settle = undefined
        resolve(outcome)
      }
      const late = this.#late
      this.#late = undefined
      if (late !== undefined) this.#settle(late)
      else if (!this.#receiving) this.#pull()
    })
  }

  #pull(): void {
    this.#receiving = true
    const arrived = (received: Received): void => {
      this.#receiving = false
      if (this.#settle === undefined) this.#late = received
      else this.#settle(received)
    }
    this.#wire.receive().then(
      (data) => arrived({ data }),
      (broke: unknown) => arrived({ broke }),
    )
  }
}

/** The error of a session that is over before its work is done. */
export function broken(how: string): GatewayCallError {
  return brokenAnswer(`the inference gateway ${how}; try again`)
}

/** The error of a session in which nothing comes of what was sent. */
export function silent(): GatewayCallError {
  const message = `the inference gateway sent nothing for ${IDLE_MS} ms although an answer was due; check the model’s id`
  return tookTooLong(message, IDLE_MS)
}

function parse(text: string): { type?: unknown; error?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
