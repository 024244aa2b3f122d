// Knows roomhook's own models again, also behind another copy of this package.

const mark = Symbol.for('roomhook.ai.model')

/** Marks a model as roomhook's own. */
export function markLiveKitModel<M extends object>(model: M): M {
  return Object.defineProperty(model, mark, { value: true })
}

/** Whether a model sends LiveKit's headers by itself. */
export function isLiveKitModel(model: object): boolean {
  return (model as { [mark]?: boolean })[mark] === true
}
