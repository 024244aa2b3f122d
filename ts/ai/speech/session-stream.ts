// A session as a stream of parts: input is sent as fast as the socket takes it, output is read as fast as it is consumed.
// **Whatever ends it (the end, an error on either side, an abort, a cancelled reader) closes the socket and the input.**

import type { Session } from './session.js'

/** What a session stream does. */
export interface SessionWork<T> {
  session: Session
  signal: AbortSignal | undefined
  /** Parts to begin with. */
  head: T[]
  /** Sends the whole input. */
  send(): Promise<void>
  /** The next parts; `done` with the last ones. */
  receive(): Promise<{ parts: T[]; done: boolean }>
  /** Gives the input back to whom it came from. */
  cancelInput(reason: unknown): Promise<void>
}

/** See the top of the file. */
export function sessionStream<T>(work: SessionWork<T>): ReadableStream<T> {
  const { session, signal, head } = work
  let over = false
  let onAbort = (): void => {}
  // Nobody waits for the goodbye: it has a limit of its own, and the result is there before it.
  const stop = (reason: unknown): void => {
    if (over) return
    over = true
    signal?.removeEventListener('abort', onAbort)
    work.cancelInput(reason).catch(() => {})
    void session.end()
  }
  // Only a failure to send matters to the reader; that everything was sent is the gateway's to answer.
  const sending = work.send().then(() => new Promise<never>(() => {}))
  sending.catch(() => {})

  return new ReadableStream<T>(
    {
      start(controller) {
        onAbort = () => {
          controller.error(signal?.reason)
          stop(signal?.reason)
        }
        if (signal?.aborted === true) onAbort()
        else signal?.addEventListener('abort', onAbort, { once: true })
      },
      async pull(controller) {
        try {
          for (const part of head.splice(0)) controller.enqueue(part)
          let { parts, done } = { parts: [] as T[], done: false }
          while (parts.length === 0 && !done && !over) ({ parts, done } = await Promise.race([work.receive(), sending]))
          if (over) return
          for (const part of parts) controller.enqueue(part)
          if (!done) return
          stop(undefined)
          controller.close()
        } catch (error) {
          // After an abort the stream has its reason already.
          if (over) return
          stop(error)
          throw error
        }
      },
      cancel: (reason) => stop(reason),
    },
    { highWaterMark: 0 },
  )
}
