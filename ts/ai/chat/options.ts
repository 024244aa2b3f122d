// The typed options of one chat call: `providerOptions: { livekit: … }` under the AI SDK. Unknown names and wrong types
// are refused, with the nearest known name.

import { checkBoolean, checkOptions, checkText, invalid } from '../../base/options.js'
import { type CallOptions, callOptionNames, checkCallOptions } from '../call-options.js'
import type { Json, ProviderOptions } from '../spec.js'

/** How hard a reasoning model thinks. */
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh'

const EFFORTS: readonly string[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh']
const VERBOSITIES: readonly string[] = ['low', 'medium', 'high']

/** `providerOptions.livekit` of a language call. */
export type ChatOptions = CallOptions & {
  /** How hard a reasoning model thinks; before the call's `reasoning`. Default: the model's own. */
  reasoningEffort?: ReasoningEffort
  /** How much the model writes. Default: the model's own. */
  verbosity?: 'low' | 'medium' | 'high'
  /** Whether several tools may be called in one step. Default: the model's own. */
  parallelToolCalls?: boolean
  /** Whether a JSON schema is enforced strictly. Default: true. */
  strictJsonSchema?: boolean
  /** The end user, as the vendor may see him: an opaque id, no name. Default: not sent. */
  user?: string
  /** Further fields of the request's body, for what has no option here. Options win. */
  body?: { [field: string]: Json | undefined }
}

const NAMES = [
  ...callOptionNames,
  'reasoningEffort',
  'verbosity',
  'parallelToolCalls',
  'strictJsonSchema',
  'user',
  'body',
] as const

const PATH = 'providerOptions.livekit'

function oneOf(value: unknown, path: string, words: readonly string[]): void {
  if (typeof value !== 'string' || !words.includes(value)) throw invalid(path, `one of ${words.join(', ')}`, value)
}

/**
 * The checked options of a call.
 * @throws ConfigError `CONFIG_INVALID`.
 */
export function chatOptions(providerOptions: ProviderOptions | undefined): ChatOptions {
  const given = providerOptions?.livekit as ChatOptions | undefined
  const options = checkOptions<ChatOptions>(given, PATH, NAMES)
  checkCallOptions(options, PATH)
  if (options.reasoningEffort !== undefined) oneOf(options.reasoningEffort, `${PATH}.reasoningEffort`, EFFORTS)
  if (options.verbosity !== undefined) oneOf(options.verbosity, `${PATH}.verbosity`, VERBOSITIES)
  if (options.parallelToolCalls !== undefined) checkBoolean(options.parallelToolCalls, `${PATH}.parallelToolCalls`)
  if (options.strictJsonSchema !== undefined) checkBoolean(options.strictJsonSchema, `${PATH}.strictJsonSchema`)
  if (options.user !== undefined) checkText(options.user, `${PATH}.user`)
  if (options.body !== undefined && (typeof options.body !== 'object' || options.body === null)) {
    throw invalid(`${PATH}.body`, 'an object of JSON values', options.body)
  }
  return options
}
