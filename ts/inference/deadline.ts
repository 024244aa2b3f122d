// How an attempt that took too long gives its connection back. Node's own fetch takes a dispatcher, and a dispatcher a
// limit for the response's headers: that costs less than an AbortSignal of its own for each request. Every
// other fetch gets a signal. It decides nothing about the time that counts for the caller: that is the transport's timer.

/** What undici's dispatchers have in common. */
interface Dispatcher {
  dispatch(options: object, handler: object): boolean
}

/** What is added to an attempt's init, and how to cut the attempt. */
export interface Limited {
  extra: { dispatcher: unknown } | { signal: AbortSignal }
  cut(reason: unknown): void
}

const GLOBAL = Symbol.for('undici.globalDispatcher.1')
const nodeFetch = globalThis.fetch

// The dispatcher's interface is that of undici's majors 6 and 7; another one gets signals.
const isKnown = /^[67]\./.test(process.versions.undici ?? '')

/** The connection is given back this much after the caller's own time is over, so that the caller's error is the first. */
const GRACE_MS = 1000

const limited = new WeakMap<Dispatcher, Map<number, Dispatcher>>()

const nothing = (): void => undefined

/** Limits an attempt. `init` and `signal` are the caller's own. */
export function limit(
  given: typeof fetch | undefined,
  init: RequestInit | undefined,
  signal: AbortSignal | undefined,
  timeoutMs: number,
): Limited {
  const dispatcher = given === undefined && globalThis.fetch === nodeFetch && isKnown ? baseOf(init) : undefined
  if (dispatcher !== undefined) {
    return { extra: { dispatcher: withLimit(dispatcher, timeoutMs + GRACE_MS) }, cut: nothing }
  }
  const controller = new AbortController()
  const both = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal])
  return { extra: { signal: both }, cut: (reason) => controller.abort(reason) }
}

function baseOf(init: { dispatcher?: unknown } | undefined): Dispatcher | undefined {
  const base = init?.dispatcher ?? (globalThis as { [GLOBAL]?: unknown })[GLOBAL]
  return typeof (base as Dispatcher | undefined)?.dispatch === 'function' ? (base as Dispatcher) : undefined
}

function withLimit(base: Dispatcher, headersTimeout: number): Dispatcher {
  let byTime = limited.get(base)
  if (byTime === undefined) {
    byTime = new Map()
    limited.set(base, byTime)
  }
  let dispatcher = byTime.get(headersTimeout)
  if (dispatcher === undefined) {
    // Everything else a dispatcher has (a mock says that it is one) is found on the base.
    dispatcher = Object.create(base, {
      dispatch: {
        value: (options: { headersTimeout?: number }, handler: object) => {
          // The options are made by fetch for this one call, so nobody else sees the change.
          options.headersTimeout = headersTimeout
          return base.dispatch(options, handler)
        },
      },
    }) as Dispatcher
    byTime.set(headersTimeout, dispatcher)
  }
  return dispatcher
}
