// Hooks that add headers to model calls: a registry of handlers, run once a turn in order of priority. One handler that
// throws, hangs or returns rubbish costs its own headers only. It refuses names that belong to the SDK or to the
// transport, and values that could break out of a header line.

import { ConfigError, JobError } from '../base/errors.js'
import { log } from '../base/log.js'
import { native } from '../base/native.js'
import { checkBoolean, checkFunction, checkInteger, checkOptions, checkText, invalid, kindOf } from '../base/options.js'
import { harmless } from '../base/promises.js'
import { type HeaderInput, headerEntries, join, type NativeTurn, type OnDrop, record, warnDropped } from './headers.js'
import { checkPrivacy, describeFailure, type HeaderHookContext, type Privacy, seen } from './hook-context.js'
import { resultEntries } from './hook-result.js'
import { checkScope, type HeaderScope, type HeaderTarget, type Scope } from './scope.js'
import { HeaderTurn } from './turn.js'

export type { HeaderHookContext }

/** What a handler is told: its own frozen copy. */
export interface HeaderHookEvent {
  /** The turn's provider; empty when the turn did not say. */
  readonly provider: string
  /** The turn's model; empty when the turn did not say. */
  readonly modelId: string
  /** The turn's own headers and those of the handlers before, by name as each was spelled. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * What a handler answers: headers in any of their forms, within an object. Nothing, `null` and an absent `headers` add
 * nothing; anything else that stands in the object is ignored with a warning.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement is a good one
export type HeaderHookResult = { headers?: HeaderInput | null | undefined } | undefined | null | void

/** A handler. */
export type HeaderHook = (
  event: HeaderHookEvent,
  context: Readonly<HeaderHookContext>,
) => HeaderHookResult | Promise<HeaderHookResult>

/** Options of one handler. */
export interface HeaderHookOptions extends HeaderScope {
  /** Higher runs earlier; a later handler overrides an earlier one on the same name. Equal: in order of registration. Default: 0. */
  priority?: number | undefined
  /** How long it may take, 1 to 600000. Its late answer is discarded. Default: the registry's. */
  timeoutMs?: number | undefined
  /** Who registers, for messages. Default: `anonymous`. */
  plugin?: string | undefined
  /** Grants it the name `x-api-key`. Default: false. */
  allowApiKey?: boolean | undefined
}

/** Options of a registry. */
export interface HeaderHooksOptions {
  /**
   * Whether handlers see `senderId`, `senderName` and `sessionKey`: for every call, or only for the providers and base
   * URLs named; headers of a handler that saw them go nowhere else. Default: false.
   */
  shareSender?: boolean | HeaderScope | undefined
  /** Handlers see HMAC-SHA256(key, value) in hex in place of `senderId` and `sessionKey`, and no `senderName`. At least 16 bytes. */
  hashKey?: string | Uint8Array | undefined
  /** Log a failing handler and go on, rather than reject the turn. Default: true. */
  catchErrors?: boolean | undefined
  /** How long one handler may take. Default: 5000. */
  timeoutMs?: number | undefined
}

/** A turn: what the handlers are told, and which call it is for. Every field can be missing. */
export interface HeaderTurnContext extends HeaderHookContext, HeaderTarget {
  /** The model's id. */
  modelId?: string | undefined
  /** The headers the calls have anyhow. Handlers see them; they are not sent by the hooks. */
  headers?: HeaderInput | undefined
}

interface Registered {
  handler: HeaderHook
  priority: number
  timeoutMs: number | undefined
  plugin: string
  allowApiKey: boolean
  scope: Scope | undefined
}

const EVENT = 'before_llm_request'
const CONTEXT_KEYS = [
  'senderId',
  'senderName',
  'channel',
  'agentId',
  'sessionKey',
  'provider',
  'baseURL',
  'modelId',
  'headers',
] as const

/** Handlers and the turns they are run for. Made by `createHeaderHooks`. */
export class HeaderHooks {
  static {
    harmless(this)
  }

  #handlers: readonly Registered[] = []
  readonly #privacy: Privacy
  readonly #catchErrors: boolean
  readonly #timeoutMs: number

  /** @internal */
  constructor(options: HeaderHooksOptions = {}) {
    const given = checkOptions(options, 'options', ['shareSender', 'hashKey', 'catchErrors', 'timeoutMs'])
    this.#privacy = checkPrivacy(given.shareSender, given.hashKey)
    this.#catchErrors = checkBoolean(given.catchErrors ?? true, 'options.catchErrors')
    this.#timeoutMs = checkInteger(given.timeoutMs ?? 5000, 'options.timeoutMs', 1, 600_000)
  }

  /**
   * Registers a handler; the returned function removes it. A change during a run takes effect with the next one.
   * @throws ConfigError `CONFIG_INVALID` for a wrong argument.
   */
  on(event: 'before_llm_request', handler: HeaderHook, options?: HeaderHookOptions): () => void {
    if (event !== EVENT) throw invalid('event', `'${EVENT}'`, event)
    const checked = checkFunction<HeaderHook>(handler, 'handler')
    const given = checkOptions(options, 'options', [
      'priority',
      'timeoutMs',
      'plugin',
      'allowApiKey',
      'providers',
      'baseURLs',
    ])
    const priority = given.priority ?? 0
    if (typeof priority !== 'number' || !Number.isFinite(priority))
      throw invalid('options.priority', 'a number', priority)
    const { timeoutMs } = given
    const registered: Registered = {
      handler: checked,
      priority,
      timeoutMs: timeoutMs === undefined ? undefined : checkInteger(timeoutMs, 'options.timeoutMs', 1, 600_000),
      plugin: given.plugin === undefined ? 'anonymous' : checkPlugin(given.plugin),
      allowApiKey: checkBoolean(given.allowApiKey ?? false, 'options.allowApiKey'),
      scope: checkScope({ providers: given.providers, baseURLs: given.baseURLs }, 'options'),
    }
    // A stable sort of a fresh array: ties keep their order, and a run that is under way keeps its list.
    this.#handlers = [...this.#handlers, registered].sort((a, b) => b.priority - a.priority)
    return () => {
      this.#handlers = this.#handlers.filter((entry) => entry !== registered)
    }
  }

  /**
   * Runs the handlers once and captures what they add, for `turn.run(fn)` and `turn.headers()`.
   * @throws ConfigError for a wrong context; with `catchErrors: false` JobError `HOOK_FAILED` or `HOOK_TIMEOUT`.
   */
  async begin(context: HeaderTurnContext = {}): Promise<HeaderTurn> {
    const given: HeaderTurnContext = checkOptions(context, 'context', CONTEXT_KEYS)
    return new HeaderTurn(this, this.#handlers.length === 0 ? undefined : await this.#run(given))
  }

  /**
   * Runs the handlers once, then `fn`: every call that is made inside carries what they added, retries, tool loops and
   * streams that are read later included. Turns that overlap never mix.
   */
  async turn<R>(context: HeaderTurnContext, fn: (turn: HeaderTurn) => R | Promise<R>): Promise<R> {
    checkFunction(fn, 'fn')
    const turn = await this.begin(context)
    return turn.run(() => fn(turn))
  }

  /**
   * The bare runner: the handlers' merged headers for the turn's own provider and base URL, `undefined` when there are
   * no handlers or they add nothing.
   */
  async run(context: HeaderTurnContext = {}): Promise<Record<string, string> | undefined> {
    const turn = await this.begin(context)
    const headers = turn.headers({ provider: context.provider, baseURL: context.baseURL })
    return Object.keys(headers).length === 0 ? undefined : headers
  }

  async #run(given: HeaderTurnContext): Promise<NativeTurn | undefined> {
    const view = seen(given, this.#privacy, given)
    const privacyScope = view.personal ? this.#privacy.scope : undefined
    const turn = native.headerTurn(join(headerEntries(given.headers, 'context.headers', nothing)))
    let added = false
    let visible = record(native.addHookHeaders(turn, '', false), nothing)
    for (const registered of this.#handlers) {
      const { plugin, allowApiKey, scope } = registered
      const event = Object.freeze({
        provider: given.provider ?? '',
        modelId: given.modelId ?? '',
        headers: Object.freeze(visible),
      })
      const secrets = [...view.values, ...Object.values(visible)]
      const warn = warnDropped({ plugin })
      const noStrings = new Set<string>()
      const report: OnDrop = (name, reason) =>
        warn(name, reason === 'value-invalid' && noStrings.has(name) ? 'value-not-a-string' : reason)
      const entries = resultEntries(await this.#call(registered, event, view.context, secrets), plugin, noStrings)
      if (entries.length === 0) continue
      added = true
      visible = record(native.addHookHeaders(turn, join(entries), allowApiKey, scope, privacyScope), report)
    }
    return added ? turn : undefined
  }

  async #call(
    { handler, plugin, timeoutMs = this.#timeoutMs }: Registered,
    event: HeaderHookEvent,
    context: Readonly<HeaderHookContext>,
    secrets: readonly string[],
  ): Promise<unknown> {
    try {
      const answer: unknown = handler(event, context)
      return isThenable(answer) ? await within(answer, timeoutMs) : answer
    } catch (error) {
      const late = error === TIMED_OUT
      const why = late ? `no answer within ${timeoutMs} ms` : describeFailure(error, secrets)
      const message = `[hooks] ${EVENT} handler from ${plugin} failed: ${why}`
      if (!this.#catchErrors) {
        throw new JobError(late ? 'HOOK_TIMEOUT' : 'HOOK_FAILED', message, late ? {} : { cause: error })
      }
      log.error(message, { plugin })
      return undefined
    }
  }
}

/** Makes a registry of header hooks. It holds nothing but its handlers: there is nothing to close. */
export function createHeaderHooks(options?: HeaderHooksOptions): HeaderHooks {
  return new HeaderHooks(options)
}

const TIMED_OUT = Symbol('timed out')
const nothing = (): void => undefined

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

async function within(answer: PromiseLike<unknown>, timeoutMs: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(TIMED_OUT), timeoutMs)
  })
  try {
    return await Promise.race([answer, expired])
  } finally {
    clearTimeout(timer)
  }
}

// The name goes into log lines as it is, so it must not be able to forge one.
function checkPlugin(value: unknown): string {
  const text = checkText(value, 'options.plugin')
  if (text.length > 100 || /\p{Cc}/u.test(text)) {
    throw invalid('options.plugin', 'at most 100 characters without control characters', value)
  }
  return text
}

/** @internal For callers that hand hooks over as an option. */
export function checkHooks(value: unknown, path: string): HeaderHooks {
  if (value instanceof HeaderHooks) return value
  throw new ConfigError('CONFIG_INVALID', `${path} must be made by createHeaderHooks(), got ${kindOf(value)}`, {
    details: { path },
  })
}
