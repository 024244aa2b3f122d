// `withHeaders`: a model or provider of the AI SDK whose calls carry the job's attribution and the headers of the running
// turn. **A call's own headers win over what is added, and a call outside of jobs and turns is passed on untouched.**
// It refuses what is neither a model nor a provider, and never sends LiveKit's credentials to somebody else's server.

import { native } from '../base/native.js'
import { checkBoolean, checkOptions, checkUrl, invalid } from '../base/options.js'
import {
  anyEntries,
  type HeaderInput,
  type HeaderRules,
  headerEntries,
  join,
  mergeHeaders,
  record,
  warnDroppedOnce,
} from '../inference/headers.js'
import { type InferenceJob, jobOf, ownValues } from '../inference/metadata.js'
import { HeaderTurn } from '../inference/turn.js'
import { isModel, isProvider, type ModelLike, shadow } from './model-kinds.js'
import { isLiveKitModel } from './own-models.js'

/** Options of {@link withHeaders}. */
export interface WithHeadersOptions {
  /** Whose attribution is sent. Default: the job whose `entry` is running. `null`: none. */
  job?: InferenceJob | null
  /** Which turn's headers are sent. Default: those of the turns that the call is made in. */
  turn?: HeaderTurn
  /** Headers of every call, below those of hooks and below the call's own. Default: none. */
  headers?: HeaderInput
  /**
   * Whether `X-LiveKit-Room-Id`, `X-LiveKit-Job-Id` and `X-LiveKit-Agent-Id` are sent. Hooks' headers are sent anyway.
   * Default: true.
   */
  attribution?: boolean
  /** The URL the model's requests go to, against which the scopes of hooks are matched. Default: unknown. */
  baseURL?: string
}

// The methods of all specifications (v2 to v4) that make a request and take `{ headers }`.
const CALLS: ReadonlySet<string> = new Set([
  'doGenerate',
  'doStream',
  'doEmbed',
  'doRerank',
  'doGenerateFromUrl',
  'doStart',
  'doStatus',
  'doDecide',
  'doEvaluate',
  'doExtract',
  'doStartBatch',
  'doGetBatchStatus',
  'doGetBatchResults',
  'doCancelBatch',
  'doListBatches',
])

type CallHeaders = Record<string, string | null | undefined>

/**
 * Wraps a model (language, speech, transcription, embedding, reranking, image, video; streaming included) or a whole
 * provider of the AI SDK, of any specification from v2 to v4, without changing its type.
 *
 * Each call through it carries, lowest first: `options.headers`, what the hooks of the running turn added, the call's own
 * headers, and the attribution of the job, which nobody can replace. Names are compared without regard to case and sent
 * in lower case. Headers are worked out per call, so a wrapped model can be shared by all jobs of the process. The worker
 * token, session ids and LiveKit's `Authorization` are never added.
 *
 * @throws ConfigError `CONFIG_INVALID` for anything that is not a model or provider, a model id as text included: wrap
 * the provider that resolves it, e.g. `globalThis.AI_SDK_DEFAULT_PROVIDER = withHeaders(provider)`.
 */
export function withHeaders<M extends object>(modelOrProvider: M, options?: WithHeadersOptions): M {
  const add = headerAdder(options)
  if (isModel(modelOrProvider)) return wrapModel(modelOrProvider, add)
  if (isProvider(modelOrProvider)) return wrapProvider(modelOrProvider, add)
  if (typeof modelOrProvider === 'string') {
    throw invalid(
      'model',
      'a model or a provider; to cover ids given as text, wrap the provider that resolves them (AI_SDK_DEFAULT_PROVIDER)',
      modelOrProvider,
    )
  }
  throw invalid('model', 'a model or a provider of the AI SDK (specification v2, v3 or v4)', modelOrProvider)
}

type Add = (model: ModelLike, given: CallHeaders | undefined) => CallHeaders | undefined

function wrapModel<M extends object>(model: M & ModelLike, add: Add): M {
  return shadow(model, (name, value) => {
    if (typeof value !== 'function') return value
    if (!CALLS.has(name)) return value.bind(model)
    return (call: { headers?: CallHeaders } | undefined, ...rest: unknown[]) => {
      const headers = add(model, call?.headers)
      return Reflect.apply(value, model, [headers === undefined ? call : Object.assign({}, call, { headers }), ...rest])
    }
  })
}

function wrapProvider<P extends object>(provider: P, add: Add): P {
  const made = (result: unknown) => (isModel(result) ? wrapModel(result, add) : result)
  const factories = new WeakMap<object, unknown>()
  return shadow(
    provider,
    (_name, value) => {
      if (typeof value !== 'function') return value
      let factory = factories.get(value)
      if (factory === undefined) {
        // A proxy of the function, so that what hangs on it (`provider.tools.x`, names) stays reachable.
        factory = new Proxy(value, { apply: (target, _self, args) => made(Reflect.apply(target, provider, args)) })
        factories.set(value, factory)
      }
      return factory
    },
    made,
  )
}

/** What is added to a call's headers; `undefined` when there is nothing to add. */
function headerAdder(options: WithHeadersOptions | undefined): Add {
  const given = checkOptions(options, 'options', ['job', 'turn', 'headers', 'attribution', 'baseURL'])
  const report = warnDroppedOnce({ source: 'withHeaders' })
  const attribution = checkBoolean(given.attribution ?? true, 'options.attribution')
  const baseURL =
    given.baseURL === undefined ? undefined : checkUrl(given.baseURL, 'options.baseURL', ['http', 'https'])
  if (given.job !== undefined) jobOf(given.job, 'options.job')
  if (given.turn !== undefined && !(given.turn instanceof HeaderTurn))
    throw invalid('options.turn', 'a turn', given.turn)
  const below = native.headerTurn('')
  const fixed = join(headerEntries(given.headers, 'options.headers', report))
  record(native.addHookHeaders(below, fixed, true), report)
  // A provider's models differ in what they call themselves, which is what the scopes of hooks go by.
  const rules = new Map<unknown, HeaderRules>()

  return (model, call) => {
    const turn = HeaderTurn.of(given.turn)
    // LiveKit's own models attribute themselves, and say when somebody tries to do it for them.
    const job = attribution && !isLiveKitModel(model) ? jobOf(given.job, 'options.job') : undefined
    if (fixed === '' && turn === undefined && job === undefined) return undefined
    const { provider } = model
    let known = rules.get(provider)
    if (known === undefined) {
      known = native.headerRules(
        { caller: 'model', provider, ...(baseURL === undefined ? {} : { baseUrl: baseURL }) },
        below,
      )
      rules.set(provider, known)
    }
    const entries = anyEntries(call ?? {}, report, nothing)
    const own = ownValues(job, {}, '')
    const headers: CallHeaders = mergeHeaders({ rules: known, turn, own, call: join(entries), session: false }, report)
    // A header that a call leaves out is one that its provider shall not add.
    for (const [name, value] of Object.entries(call ?? {})) {
      const lower = name.toLowerCase()
      if ((value === undefined || value === null) && !(lower in headers)) headers[lower] = value
    }
    return headers
  }
}

const nothing = (): void => undefined
