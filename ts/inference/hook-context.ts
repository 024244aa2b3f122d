// What handlers get to see of a turn: exactly the fields that are there. Who speaks and in which session is personal, so
// those fields stay away unless the registry was told to share them, and can be shared as keyed hashes only.

import { createHmac } from 'node:crypto'
import { ConfigError } from '../base/errors.js'
import { native } from '../base/native.js'
import { checkBoolean, checkString, invalid, kindOf } from '../base/options.js'
import { checkScope, type HeaderScope, type HeaderTarget, type Scope } from './scope.js'

/** What is known about a turn. Every field can be missing; a system turn has no sender. */
export interface HeaderHookContext {
  /** Who speaks. Only seen by handlers when `shareSender` allows it. */
  senderId?: string | undefined
  /** Their display name. Only seen when `shareSender` allows it, and never together with `hashKey`. */
  senderName?: string | undefined
  /** Where the turn came in, e.g. `room`, `sip`. */
  channel?: string | undefined
  /** The agent's name. */
  agentId?: string | undefined
  /** The conversation. Only seen by handlers when `shareSender` allows it. */
  sessionKey?: string | undefined
}

const FIELDS = ['senderId', 'senderName', 'channel', 'agentId', 'sessionKey'] as const
const PERSONAL: ReadonlySet<string> = new Set(['senderId', 'senderName', 'sessionKey'])

/** The checked privacy options of a registry. */
export interface Privacy {
  shareSender: boolean
  scope: Scope | undefined
  hashKey: Buffer | undefined
}

/** Checks the privacy options. */
export function checkPrivacy(share: boolean | HeaderScope | undefined, hashKey: unknown): Privacy {
  const key = hashKey === undefined ? undefined : checkKey(hashKey)
  if (share === undefined) return { shareSender: false, scope: undefined, hashKey: key }
  if (typeof share === 'object' && share !== null) {
    return { shareSender: true, scope: checkScope(share, 'options.shareSender'), hashKey: key }
  }
  return { shareSender: checkBoolean(share, 'options.shareSender'), scope: undefined, hashKey: key }
}

function checkKey(value: unknown): Buffer {
  const bytes =
    typeof value === 'string'
      ? Buffer.from(value, 'utf8')
      : value instanceof Uint8Array
        ? Buffer.from(value)
        : undefined
  if (bytes === undefined) throw invalid('options.hashKey', 'a string or bytes', value)
  if (bytes.length < 16) {
    throw new ConfigError('CONFIG_INVALID', 'options.hashKey must have at least 16 bytes; a short key can be guessed', {
      details: { path: 'options.hashKey' },
    })
  }
  return bytes
}

/** What handlers see, and what that means for where their headers may go. */
export interface Seen {
  context: Readonly<HeaderHookContext>
  /** Whether a personal field is among it. */
  personal: boolean
  /** The personal values in clear, so that an error text can be cleaned of them. */
  values: readonly string[]
}

/** Builds what handlers see of a turn for a call to `target`. */
export function seen(given: HeaderHookContext, privacy: Privacy, target: HeaderTarget): Seen {
  const { shareSender, scope } = privacy
  const shared = shareSender && (scope === undefined || native.scopeCovers(scope, target.provider, target.baseURL))
  const context: Record<string, string> = {}
  const values: string[] = []
  let personal = false
  for (const field of FIELDS) {
    const value = given[field]
    if (value === undefined || value === null) continue
    checkString(value, `context.${field}`)
    if (value === '') continue
    if (!PERSONAL.has(field)) {
      context[field] = value
      continue
    }
    if (!shared || (field === 'senderName' && privacy.hashKey !== undefined)) continue
    context[field] = privacy.hashKey === undefined ? value : hash(privacy.hashKey, value)
    values.push(value, context[field])
    personal = true
  }
  return { context: Object.freeze(context), personal, values }
}

function hash(key: Buffer, value: string): string {
  return createHmac('sha256', key).update(value, 'utf8').digest('hex')
}

/** The text of what a handler threw, without any of the values that must not reach a log. */
export function describeFailure(error: unknown, secrets: readonly string[]): string {
  let text: string
  try {
    text =
      error instanceof Error ? `${error.name}: ${error.message}` : typeof error === 'string' ? error : kindOf(error)
  } catch {
    text = 'an error that cannot be read'
  }
  return native.redact(text, [...secrets]).slice(0, 500)
}
