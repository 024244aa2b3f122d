// The options that every call through the gateway takes, whatever its kind.

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
