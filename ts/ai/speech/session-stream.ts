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
  /** What is sent; given back to whom it came from. */
  input: ReadableStreamDefaultReader<unknown>
}

/** Takes the input and opens its session. The input first: nothing is opened for one that somebody else reads. */
export async function openSession<T>(
  input: ReadableStream<T>,
  open: () => Promise<Session>,
): Promise<{ input: ReadableStreamDefaultReader<T>; session: Session }> {
  const reader = input.getReader()
  try {
    return { input: reader, session: await open() }
  } catch (error) {
    reader.cancel(error).catch(() => {})
    throw error
  }
}

/** Whether a value is a stream that can be read. */
export function isFreeStream(value: unknown): boolean {
  return value instanceof ReadableStream && !value.locked
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
    work.input.cancel(reason).catch(() => {})
    void session.end()
  }
  // Only a failure to send matters to the reader; that everything was sent is the gateway's to answer.
  work.send().catch((error: unknown) => session.fail(error))

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
          while (parts.length === 0 && !done && !over) ({ parts, done } = await work.receive())
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
