// Which header names and values may go on a wire, and which names belong to the SDK. It refuses to look at who asked:
// the merge decides that. The same rules in Rust are src/inference/name.rs; tests/vectors/headers.json holds both to them.

import { checkString } from '../base/options.js'

/** Why an entry was not sent. */
export type DropReason =
  | 'name-invalid'
  | 'name-forbidden'
  | 'name-sdk-owned'
  | 'value-not-a-string'
  | 'value-empty'
  | 'value-invalid'
  | 'value-too-long'
  | 'too-many'

/** The longest value that is sent, in bytes (values are ASCII). */
export const MAX_VALUE_BYTES = 8192
/** The longest name that is sent, in bytes. */
export const MAX_NAME_BYTES = 256
/** How many headers the hooks of one turn may add together. */
export const MAX_HOOK_HEADERS = 64

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VALUE = /^[\t\x20-\x7e]*$/
const BLANK = /^[\t ]*$/

/** The names that only the SDK sets, in lower case. */
export const SDK_OWNED: ReadonlySet<string> = new Set([
  'authorization',
  'x-livekit-room-id',
  'x-livekit-job-id',
  'x-livekit-agent-id',
  'x-livekit-worker-token',
  'x-livekit-session-id',
  'x-livekit-inference-provider',
  'x-livekit-inference-priority',
])

// `__proto__` is a valid token, but no plain object can carry it, and nobody sends it by accident.
const FORBIDDEN: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  '__proto__',
])

/** The name a plugin may only set when it was granted it. */
export const API_KEY_NAME = 'x-api-key'

/** Whether a name (in lower case) frames the message or belongs to the connection, so that nobody but the transport sets it. */
export function isForbiddenName(lower: string): boolean {
  return FORBIDDEN.has(lower) || lower.startsWith('proxy-')
}

/** What is wrong with a name, if anything: an RFC 9110 token of at most 256 bytes is right. */
export function checkName(name: string): DropReason | undefined {
  return name.length <= MAX_NAME_BYTES && TOKEN.test(name) ? undefined : 'name-invalid'
}

/**
 * What is wrong with a value, if anything: a string of visible ASCII, SP and HTAB (so no CR, LF, NUL or obs-text), at
 * most 8 KiB. An empty one is right.
 */
export function checkValue(value: unknown): DropReason | undefined {
  if (typeof value !== 'string') return 'value-not-a-string'
  if (value.length > MAX_VALUE_BYTES) return 'value-too-long'
  return VALUE.test(value) ? undefined : 'value-invalid'
}

/** As `checkValue`, for values of the SDK's own headers, which are never empty or blank. */
export function checkOwnValue(value: unknown): DropReason | undefined {
  const wrong = checkValue(value)
  if (wrong !== undefined) return wrong
  return BLANK.test(value as string) ? 'value-empty' : undefined
}

/** A name as it may appear in a log line: what leads it as a token, so that an injected line or value never shows. */
export function printableName(name: string): string {
  const leading = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{0,64}/.exec(name)?.[0] ?? ''
  return leading.length === name.length ? leading : `${leading}…`
}

/**
 * Percent-encodes a text (a display name, say) so that it fits a header value: UTF-8, everything escaped but
 * `A-Z a-z 0-9 - _ . ! ~ * ' ( )`. `decodeURIComponent` gives it back; a lone surrogate becomes U+FFFD.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for anything but a string.
 */
export function encodeHeaderValue(text: string): string {
  checkString(text, 'text')
  return encodeURIComponent(Buffer.from(text, 'utf8').toString('utf8'))
}
