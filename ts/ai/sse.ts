// Server-sent events as chat completions use them: `data:` lines, an empty line between events, `[DONE]` at the end.
// Other fields are ignored; an event larger than the limit is refused.

import { ConnectionError } from '../base/errors.js'

/** The largest event that is buffered, in characters. */
export const MAX_EVENT_LENGTH = 8 * 1024 * 1024

/** How long a body may stay open after its last event before its connection is given up. */
const DRAIN_MS = 1_000

/** Reads the events of a body, one at a time. */
export class EventReader {
  readonly #body: ReadableStreamDefaultReader<Uint8Array>
  readonly #decoder = new TextDecoder()
  #events: string[] = []
  #rest = ''
  #data: string[] = []
  #held = 0

  constructor(body: ReadableStream<Uint8Array>) {
    this.#body = body.getReader()
  }

  /** The data of the next event, `[DONE]` like any other; `undefined` after the last. */
  async next(): Promise<string | undefined> {
    while (this.#events.length === 0) {
      const { done, value } = await this.#body.read()
      if (done) {
        this.#take(`${this.#decoder.decode()}\n\n`)
        return this.#events.shift()
      }
      this.#take(this.#decoder.decode(value, { stream: true }))
    }
    return this.#events.shift()
  }

  /** Lets the body end, so that its connection can serve again; one that does not end is cancelled. */
  drain(): void {
    const cancel = () => this.cancel(undefined)
    const timer = setTimeout(cancel, DRAIN_MS)
    timer.unref()
    this.#body
      .read()
      .then(({ done }) => (done ? undefined : cancel()))
      .catch(() => {})
      .finally(() => clearTimeout(timer))
  }

  /** Closes the request. Never rejects. */
  cancel(reason: unknown): Promise<void> {
    return this.#body.cancel(reason).catch(() => {})
  }

  #take(text: string): void {
    this.#rest += text
    let start = 0
    // A CR may be the first half of a CRLF whose LF comes with the next chunk, so lines end at LF and lose a last CR.
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n', start)) {
      this.#line(this.#rest.slice(start, end > start && this.#rest[end - 1] === '\r' ? end - 1 : end))
      start = end + 1
    }
    this.#rest = this.#rest.slice(start)
    if (this.#held + this.#rest.length <= MAX_EVENT_LENGTH) return
    throw new ConnectionError(
      'TRANSPORT_FAILED',
      `an event of the stream is longer than ${MAX_EVENT_LENGTH} characters`,
    )
  }

  #line(line: string): void {
    if (line === '') {
      if (this.#data.length > 0) this.#events.push(this.#data.join('\n'))
      this.#data = []
      this.#held = 0
    } else if (line.startsWith('data:')) {
      this.#data.push(line.slice(line[5] === ' ' ? 6 : 5))
      this.#held += line.length
    }
  }
}
