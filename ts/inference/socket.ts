// An open socket of the gateway, pulled by its reader: what is not read makes the gateway wait. It refuses to lose a
// received message, and to hang while it closes.

import { checkSignal, withSignal } from '../base/abort.js'
import { ConfigError, ConnectionError } from '../base/errors.js'
import { awaitNative, callNative, type native } from '../base/native.js'
import { checkInteger, checkOptions, checkString, invalid } from '../base/options.js'
import { harmless } from '../base/promises.js'

/** How a socket ended. */
export interface InferenceSocketEnd {
  /**
   * `peer`: the gateway closed it; `local`: we did; `silent`: the gateway answered no ping; `broken`: the connection
   * failed, or the gateway broke the WebSocket protocol.
   */
  by: 'peer' | 'local' | 'silent' | 'broken'
  /** The gateway's close code, if it sent one. */
  code?: number
}

/** How long a wait of a socket lasts at most. */
export interface WaitOptions {
  /** Abandons the wait. */
  signal?: AbortSignal | undefined
}

function signalOf(options: WaitOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined
  return checkSignal(checkOptions(options, 'options', ['signal']).signal, 'options.signal')
}

const nothing = (): void => undefined

/** What the core answers to a message that is larger than the queue. */
const TOO_LARGE = 3

type Handle = InstanceType<typeof native.InferenceSocketHandle>
/** How an attempt to open ended. */
export type SocketOpened = Awaited<ReturnType<Handle['open']>>

/**
 * A socket of the gateway. Read it with `for await` (or `receive`), by one reader at a time. An open one keeps the
 * process alive until either side closes it; `await using` closes it.
 */
export class InferenceSocket implements AsyncIterable<string | Uint8Array>, AsyncDisposable {
  static {
    harmless(this)
  }

  /** Resolves with how the socket ended, once it has. Never rejects. */
  readonly closed: Promise<InferenceSocketEnd>
  readonly #handle: Handle
  readonly #queueBytes: number
  #inbox: readonly (string | Uint8Array)[] = []
  #next = 0
  #goodbye: Promise<void> | undefined
  #bell: { rung: Promise<void>; ring: () => void } | undefined

  private constructor(handle: Handle, queueBytes: number) {
    this.#handle = handle
    this.#queueBytes = queueBytes
    this.closed = handle.ended().then(({ by, code }) => ({
      by: by as InferenceSocketEnd['by'],
      ...(code === undefined ? {} : { code }),
    }))
  }

  /** @internal Opens a socket; what became of the attempt, if it is not open. */
  static async open(handle: Handle, queueBytes: number): Promise<InferenceSocket | SocketOpened> {
    let receive = (_messages: readonly (string | Uint8Array)[]): void => {}
    const opened = await awaitNative(() => handle.open((messages) => receive(messages)))
    if (opened.kind !== 'open') return opened
    const socket = new InferenceSocket(handle, queueBytes)
    // Nothing is missed: the core calls only after `take` has found nothing.
    receive = (messages) => socket.#receive(messages)
    return socket
  }

  /**
   * Queues a text or a copy of some bytes, without waiting. `false`: it was not queued, because the queue is full (it is
   * counted in `droppedMessages`; await `ready()` and send it again where nothing may be lost) or because the socket has
   * ended.
   * @throws ConfigError `CONFIG_INVALID` for a message that is larger than `sendQueueBytes`: it can never be queued.
   */
  send(data: string | Uint8Array): boolean {
    const queued =
      typeof data === 'string'
        ? callNative(() => this.#handle.sendText(data))
        : data instanceof Uint8Array
          ? callNative(() => this.#handle.sendBinary(data))
          : undefined
    if (queued === undefined) throw invalid('data', 'a string or a Uint8Array', data)
    if (queued === TOO_LARGE) {
      throw new ConfigError(
        'CONFIG_INVALID',
        `data must be no larger than the queue of ${this.#queueBytes} bytes, got ${Buffer.byteLength(data)}; send it in parts, or open the socket with a larger sendQueueBytes`,
        { details: { path: 'data' } },
      )
    }
    return queued === 0
  }

  /**
   * Waits until there is room for a message, for the one that was refused last if there was one: `false` when the socket
   * has ended instead.
   * @throws ClosedError `ABORTED`.
   */
  async ready(options?: WaitOptions): Promise<boolean> {
    return awaitNative(() => withSignal(signalOf(options), () => this.#handle.ready(), nothing))
  }

  /** How many messages were not sent because the queue was full. */
  get droppedMessages(): number {
    return callNative(() => this.#handle.dropped)
  }

  /**
   * The next message; `undefined` once the socket has been closed by either side and everything is read. A message that
   * comes after an abort is the next call's.
   * @throws ConnectionError `TIMED_OUT` (the gateway answered no ping) or `TRANSPORT_FAILED` (the connection broke).
   * ClosedError `ABORTED`.
   */
  async receive(options?: WaitOptions): Promise<string | Uint8Array | undefined> {
    const signal = signalOf(options)
    while (this.#next >= this.#inbox.length) {
      if (this.#bell === undefined) {
        const messages = callNative(() => this.#handle.take())
        if (messages === null) return this.#end()
        if (messages.length === 0) this.#wait()
        else this.#fill(messages)
      }
      const bell = this.#bell
      if (bell !== undefined) await withSignal(signal, () => bell.rung, nothing)
    }
    return this.#inbox[this.#next++]
  }

  /** The messages until the socket is closed; throws as `receive`. Leaving the loop early does not close the socket. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string | Uint8Array, void, void> {
    for (;;) {
      const message = await this.receive()
      if (message === undefined) return
      yield message
    }
  }

  /**
   * Sends what is queued, says goodbye, and resolves when the connection is gone: after `closeTimeoutMs` at the latest,
   * whatever the gateway does. Messages that arrive meanwhile are not kept. Repeating is harmless.
   *
   * @param code 1000, or 3000 to 4999. Default: 1000.
   * @param reason At most 123 bytes. Default: empty.
   */
  async close(code = 1000, reason = ''): Promise<void> {
    const checked = code === 1000 ? code : checkInteger(code, 'code', 3000, 4999)
    if (Buffer.byteLength(checkString(reason, 'reason')) > 123) throw invalid('reason', 'at most 123 bytes', reason)
    // The first goodbye counts: two calls into the core may overtake each other.
    this.#goodbye ??= awaitNative(() => this.#handle.close(checked, reason))
    await this.#goodbye
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #wait(): void {
    let ring = (): void => undefined
    const rung = new Promise<void>((resolve) => {
      ring = resolve
    })
    this.#bell = { rung, ring }
  }

  /** What has arrived, or nothing: then there may be more to take. */
  #receive(messages: readonly (string | Uint8Array)[]): void {
    const bell = this.#bell
    this.#bell = undefined
    if (messages.length > 0) this.#fill(messages)
    bell?.ring()
  }

  #fill(messages: readonly (string | Uint8Array)[]): void {
    // A reader that was given messages out of turn still has the rest of the last ones.
    this.#inbox = this.#next < this.#inbox.length ? [...this.#inbox.slice(this.#next), ...messages] : messages
    this.#next = 0
  }

  async #end(): Promise<undefined> {
    const { by } = await this.closed
    if (by === 'silent') {
      throw new ConnectionError('TIMED_OUT', 'expected the inference gateway to answer a ping; open a new socket', {
        retryable: true,
      })
    }
    if (by === 'broken') {
      throw new ConnectionError(
        'TRANSPORT_FAILED',
        'the connection to the inference gateway broke; open a new socket',
        {
          retryable: true,
        },
      )
    }
    return undefined
  }
}
