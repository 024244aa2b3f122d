// Webhook secrets as a program writes them, spelt out for the native core, which alone knows their rules (src/secret.rs).

import { ConfigError } from '../base/errors.js'
import { log } from '../base/log.js'
import type { native } from '../base/native.js'
import { checkOptions, checkText, invalid } from '../base/options.js'

/** A secret that counts until a moment in time, for rotations. */
export interface AgentSecret {
  /** The secret: at least 16 bytes, better 32; `whsec_<base64>` means the decoded bytes. */
  secret: string
  /** Epoch milliseconds, or a Date, after which it no longer counts. Default: it counts for ever. */
  notAfter?: number | Date | undefined
}

/** One secret, or up to three while they are being rotated, newest first. */
export type AgentSecrets = string | AgentSecret | readonly (string | AgentSecret)[]

/** Checks secrets and spells them out for the native core, which checks their length. */
export function completeSecrets(secrets: unknown): native.NativeAgentSecret[] {
  if (secrets === undefined || secrets === '') {
    throw new ConfigError(
      'CONFIG_INVALID',
      `options.secrets must be the webhook's secret, got ${secrets === '' ? 'an empty string' : 'undefined'}; is its environment variable set?`,
      { details: { path: 'options.secrets' } },
    )
  }
  const list: readonly unknown[] = Array.isArray(secrets) ? secrets : [secrets]
  return list.map((secret, index) => completeSecret(secret, `options.secrets[${index}]`))
}

function completeSecret(given: unknown, path: string): native.NativeAgentSecret {
  if (typeof given === 'string') return { value: given }
  if (given === null || typeof given !== 'object') throw invalid(path, 'a string, or an object with secret', given)
  const { secret, notAfter } = checkOptions(given as AgentSecret, path, ['secret', 'notAfter'])
  const value = checkText(secret, `${path}.secret`)
  if (notAfter === undefined) return { value }
  const at = notAfter instanceof Date ? notAfter.getTime() : notAfter
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) {
    throw invalid(`${path}.notAfter`, 'a Date or epoch milliseconds', notAfter)
  }
  return { value, notAfterMs: at }
}

let warned = false

/** Warns of secrets that the core calls weak, once in a process. */
export function warnOfWeakSecrets(count: number): void {
  if (count === 0 || warned) return
  warned = true
  log.warn('a webhook secret has fewer than 32 bytes; use a longer random one', { secrets: count })
}
