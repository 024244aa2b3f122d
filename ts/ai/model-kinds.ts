// What counts as a model and as a provider of the AI SDK, by shape (its packages come in several copies and majors), and
// how one is wrapped so that nothing but the chosen members changes.

/** What every model of every specification has. */
export interface ModelLike {
  readonly specificationVersion: string
  readonly provider: string
  readonly modelId: string
}

type Callable = (...args: unknown[]) => unknown

const MODEL_CALLS = [
  'doGenerate',
  'doStream',
  'doEmbed',
  'doRerank',
  'doStart',
  'doDecide',
  'doEvaluate',
  'doExtract',
] as const

const PROVIDER_FACTORIES = [
  'languageModel',
  'chat',
  'embeddingModel',
  'textEmbeddingModel',
  'textEmbedding',
  'embedding',
  'imageModel',
  'image',
  'speechModel',
  'speech',
  'transcriptionModel',
  'transcription',
  'rerankingModel',
  'videoModel',
] as const

function hasFunction(value: object, names: readonly string[]): boolean {
  return names.some((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** Whether a value is a model of specification v2, v3 or v4. */
export function isModel(value: unknown): value is ModelLike {
  if (typeof value !== 'object' || value === null) return false
  const { specificationVersion, modelId } = value as Partial<ModelLike>
  if (typeof specificationVersion !== 'string' || !/^v[234]$/.test(specificationVersion)) return false
  // Batches name the model of each request, and have none themselves.
  return (typeof modelId === 'string' && hasFunction(value, MODEL_CALLS)) || hasFunction(value, ['doStartBatch'])
}

/** Whether a value makes models: an object or function with at least one of the factories that providers have. */
export function isProvider(value: unknown): value is object {
  return (
    (typeof value === 'function' || (typeof value === 'object' && value !== null)) &&
    hasFunction(value, PROVIDER_FACTORIES)
  )
}

/**
 * A stand-in for an object whose members pass through `member`. It answers for the original in every other way
 * (`instanceof`, `in`, keys, assignment), also when the original is frozen, which a proxy of it could not.
 */
export function shadow<T extends object>(
  original: T,
  member: (name: string, value: Callable | object | undefined) => unknown,
  made?: (result: unknown) => unknown,
): T {
  // An arrow function has no members of its own that could not be configured away.
  const target = (typeof original === 'function' ? () => {} : {}) as T
  return new Proxy(target, {
    get(_target, key) {
      const value: unknown = Reflect.get(original, key, original)
      return typeof key === 'string' ? member(key, value as Callable | undefined) : value
    },
    set: (_target, key, value) => Reflect.set(original, key, value, original),
    has: (_target, key) => Reflect.has(original, key),
    deleteProperty: (_target, key) => Reflect.deleteProperty(original, key),
    getPrototypeOf: () => Reflect.getPrototypeOf(original),
    ownKeys: () => Reflect.ownKeys(original),
    getOwnPropertyDescriptor(_target, key) {
      const descriptor = Reflect.getOwnPropertyDescriptor(original, key)
      return descriptor === undefined ? undefined : { ...descriptor, configurable: true }
    },
    apply: (_target, _self, args) => {
      const result: unknown = Reflect.apply(original as unknown as Callable, undefined, args)
      return made === undefined ? result : made(result)
    },
  })
}
