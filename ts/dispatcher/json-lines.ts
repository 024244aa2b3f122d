// One JSON line a record on standard output. **Whoever reads it, slowly, not at all or no longer, neither ends nor holds
// the process**: what waits is bounded, what is dropped is counted, a closed pipe is silence.

import type { Writable } from 'node:stream'

/** How much may wait for the reader; about 4,000 lines. */
const MAX_WAITING_BYTES = 1024 * 1024

export class JsonLines {
  readonly #stream: Writable
  #lost = 0

  constructor(stream: Writable) {
    this.#stream = stream
    // EPIPE, a full disk: nobody can be told, and the jobs matter more than their log.
    stream.on('error', () => {
      this.#lost++
    })
  }

  /** Writes one line, or drops and counts it. */
  write(level: string, message: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#stream.destroyed || this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#lost++
      return
    }
    const lost = this.#lost
    this.#lost = 0
    if (lost > 0) this.#put('warn', 'log lines were lost because nobody took them', { lost })
    this.#put(level, message, fields)
  }

  #put(level: string, message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#stream.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`)
  }

  /** Resolves when everything has left, or could not within this time. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#stream.destroyed || this.#stream.writableLength === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#stream.write('', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
