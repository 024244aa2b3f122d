// What the trace test uses of OpenTelemetry's API, whose types are installed in a fixture folder only.

export declare const ROOT_CONTEXT: object
export declare const context: {
  setGlobalContextManager(manager: object): boolean
  with<R>(context: object, fn: () => R): R
  disable(): void
}
export declare const propagation: { setGlobalPropagator(propagator: object): boolean; disable(): void }
export declare const trace: { setSpanContext(context: object, spanContext: object): object }
