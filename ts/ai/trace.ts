// The W3C trace context of the active span, where the program uses OpenTelemetry: found through the API's own global, so
// that nothing is imported or required. Without it, or with a tracer that misbehaves, nothing is added.

interface TraceApi {
  context?: { active(): unknown }
  propagation?: {
    inject(context: unknown, carrier: object, setter: { set(c: object, k: string, v: string): void }): void
  }
}

// The version in the key is the API's major: all of its 1.x share one object under it.
const API = Symbol.for('opentelemetry.js.api.1')

const setter = {
  set(carrier: object, key: string, value: string): void {
    ;(carrier as Record<string, string>)[key] = value
  },
}

/** `traceparent`, `tracestate` and whatever else the program's propagator writes for the active span. */
export function traceHeaders(): Record<string, string> {
  const api = (globalThis as { [API]?: TraceApi })[API]
  if (api?.context === undefined || api.propagation === undefined) return {}
  const carrier: Record<string, string> = {}
  try {
    api.propagation.inject(api.context.active(), carrier, setter)
  } catch {
    // A broken tracer must not break the call that it only watches.
    return {}
  }
  return carrier
}
