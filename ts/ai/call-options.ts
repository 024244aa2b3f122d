// The options that every call through the gateway takes, whatever its kind.

import { invalid } from '../base/options.js'
import { checkPriority, checkProvider, type InferencePriority } from '../inference/metadata.js'

/** What each kind of call may choose for itself. */
export type CallOptions = {
  /** The scheduling class of this call; before the provider's. */
  priority?: InferencePriority
  /** The vendor that shall serve this call; before the provider's. */
  provider?: string
}

/** The names of {@link CallOptions}. */
export const callOptionNames = ['priority', 'provider'] as const

/** Checks the options that all calls have in common. */
export function checkCallOptions(options: Partial<CallOptions>, path: string): void {
  if (options.priority !== undefined) checkPriority(options.priority, `${path}.priority`)
  if (options.provider !== undefined) checkProvider(options.provider, `${path}.provider`)
}

/** The options that all calls have in common, without those that are not set. */
export function callChoices({ priority, provider }: Partial<CallOptions>): CallOptions {
  return { ...(priority === undefined ? {} : { priority }), ...(provider === undefined ? {} : { provider }) }
}

/**
 * Checks the one thing a call cannot do without. The SDK always gives it; a program that calls a model by hand may not.
 *
 * @throws ConfigError `CONFIG_INVALID`.
 */
export function checkCall<C extends object, K extends keyof C & string>(
  call: C,
  name: K,
  expected: string,
  fits: (value: unknown) => boolean,
): C {
  if (typeof call !== 'object' || call === null) throw invalid('call', 'an object', call)
  if (!fits(call[name])) throw invalid(`call.${name}`, expected, call[name])
  return call
}
