// Verifies and signs job webhooks (docs/webhook-protocol.md). Bytes are judged by the native core before anything reads
// them; it takes no parsed body and no text, and it answers no request: that is the handler's work.

import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { ConfigError } from '../base/errors.js'
import { callNative, native } from '../base/native.js'
import { checkInteger, checkOptions, checkString, checkText, invalid } from '../base/options.js'
import { headerLines, type WebhookHeaders } from './headers.js'
import type { JobWebhook } from './notification.js'
import { rawBytes } from './raw-body.js'
import { type AgentSecrets, completeSecrets, warnOfWeakSecrets } from './secrets.js'

/** How webhooks are verified. */
export interface VerifyWebhookOptions {
  /** The secret shared with the sender; up to three during a rotation. */
  secrets: AgentSecrets
  /** This agent's name. A webhook for another name is refused; one that names none is taken. Default: any name. */
  name?: string | undefined
  /**
   * Which headers carry the signature: `livekit` reads `X-LiveKit-Signature`, `standard` reads the `webhook-id`,
   * `webhook-timestamp` and `webhook-signature` of Standard Webhooks. Default: `livekit`.
   */
  scheme?: 'livekit' | 'standard' | undefined
  /** How far the signed timestamp may be from the clock, in seconds, 1 to 86400, either way. Default: 300. */
  clockToleranceS?: number | undefined
  /** The largest body, in bytes, 1 to 1073741824. Default: 4194304. */
  maxBodyBytes?: number | undefined
  /** Epoch milliseconds to judge by instead of the machine's clock: for tests and captured requests. */
  now?: number | undefined
}

/** How a webhook is signed. */
export interface SignWebhookOptions {
  /** The secret shared with the receiver; with several, one signature each, the newest first. */
  secrets: AgentSecrets
  /** The delivery, the same for each of its attempts: visible ASCII without a dot. Default: a random one. */
  id?: string | undefined
  /** Unix seconds, the same as the body's `timestamp`. Default: the body's `timestamp`. */
  timestamp?: number | undefined
}

/** Verifies webhooks with secrets that were prepared once. */
export interface WebhookVerifier {
  /** As `verifyWebhook`, with the verifier's options. */
  verify(body: Uint8Array | ArrayBuffer, headers: WebhookHeaders): JobWebhook
}

/** 4 MiB, because LiveKit allows 512 KiB a metadata field, and escaping doubles quotes. */
export const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024

function checkScheme(scheme: unknown): boolean {
  if (scheme !== undefined && scheme !== 'livekit' && scheme !== 'standard') {
    throw invalid('options.scheme', "'livekit' or 'standard'", scheme)
  }
  return scheme === 'standard'
}

/**
 * Prepares a verifier: checks the options and hashes the secrets once.
 *
 * @throws {ConfigError} `CONFIG_INVALID`: no secret, one below 16 bytes, more than three, or a wrong option.
 */
export function createWebhookVerifier(options: VerifyWebhookOptions): WebhookVerifier {
  if (options === undefined) throw invalid('options', 'an object with secrets', options)
  const given = checkOptions(options, 'options', [
    'secrets',
    'name',
    'scheme',
    'clockToleranceS',
    'maxBodyBytes',
    'now',
  ]) as VerifyWebhookOptions
  const standard = checkScheme(given.scheme)
  const complete = {
    secrets: completeSecrets(given.secrets),
    standardScheme: standard,
    toleranceS: checkInteger(given.clockToleranceS ?? 300, 'options.clockToleranceS', 1, 86_400),
    maxBodyBytes: checkInteger(given.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, 'options.maxBodyBytes', 1, 2 ** 30),
    ...(given.name === undefined ? {} : { name: checkString(given.name, 'options.name') }),
    ...(given.now === undefined ? {} : { nowMs: checkInteger(given.now, 'options.now', 0, Number.MAX_SAFE_INTEGER) }),
  }
  const verifier = callNative(() => native.nativeWebhookVerifier(complete))
  warnOfWeakSecrets(native.nativeWeakWebhookSecrets(verifier))
  const [signature, timestamp] = standard
    ? ['webhook-signature', 'webhook-timestamp']
    : ['x-livekit-signature', 'x-livekit-timestamp']
  return {
    verify(body, headers) {
      const bytes = rawBytes(body)
      const signatures = headerLines(headers, signature)
      const timestamps = headerLines(headers, timestamp)
      const id = standard ? headerLines(headers, 'webhook-id') : undefined
      const read = callNative(() => native.nativeVerifyWebhook(verifier, bytes, signatures, timestamps, id))
      return JSON.parse(read) as JobWebhook
    },
  }
}

interface Cached {
  settings: readonly unknown[]
  verifier: WebhookVerifier
}

const verifiers = new WeakMap<VerifyWebhookOptions, Cached>()

/** All that a verifier is made of, so that a changed options object gets a new one. */
function settingsOf({ secrets, name, scheme, clockToleranceS, maxBodyBytes, now }: VerifyWebhookOptions): unknown[] {
  const settings: unknown[] = [name, scheme, clockToleranceS, maxBodyBytes, now]
  if (typeof secrets === 'string') {
    settings.push(secrets)
    return settings
  }
  for (const entry of Array.isArray(secrets) ? secrets : [secrets]) {
    if (typeof entry === 'object' && entry !== null) settings.push(entry.secret, Number(entry.notAfter))
    else settings.push(entry)
  }
  return settings
}

function verifierFor(options: VerifyWebhookOptions): WebhookVerifier {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object with secrets', options)
  const settings = settingsOf(options)
  const cached = verifiers.get(options)
  if (
    cached !== undefined &&
    cached.settings.length === settings.length &&
    cached.settings.every((setting, index) => Object.is(setting, settings[index]))
  ) {
    return cached.verifier
  }
  const verifier = createWebhookVerifier(options)
  verifiers.set(options, { settings, verifier })
  return verifier
}

/**
 * Verifies a job webhook and reads it: signature over the received bytes, strict JSON, schema, freshness, agent name,
 * and that the join token fits the job; in this order.
 *
 * `body` is the request's body as bytes, exactly as received. Keep the options object and pass the same one again: its
 * secrets are then prepared only once. Changing it takes effect with the next call.
 *
 * @throws {WebhookError} Do not let the sender see why; answer as docs/webhook-protocol.md §5 says: `SIGNATURE_MISSING`,
 * `SIGNATURE_INVALID` and `TIMESTAMP_OUT_OF_TOLERANCE` (401), `BODY_INVALID` (400, the message names the field),
 * `BODY_TOO_LARGE` (413), `WRONG_AGENT` (403), `TOKEN_MISMATCH` (400), `RAW_BODY_UNAVAILABLE` (500: not bytes).
 * @throws {ConfigError} `CONFIG_INVALID`: wrong options or headers.
 *
 * @example
 * ```ts
 * const options = { secrets: process.env.LIVEKIT_WEBHOOK_SECRET ?? '' }
 * app.post('/livekit/agent', express.raw({ type: '*\/*' }), (request, response) => {
 *   const webhook = verifyWebhook(request.body, request.rawHeaders, options)
 *   response.json({ accepted: webhook.event === 'job' })
 * })
 * ```
 */
export function verifyWebhook(
  body: Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  options: VerifyWebhookOptions,
): JobWebhook {
  return verifierFor(options).verify(body, headers)
}

/**
 * Signs a body: all the headers that make it a webhook, its content type included, for tests and for other senders.
 *
 * @throws {ConfigError} `CONFIG_INVALID`: wrong secrets or id, or a body without `timestamp` and none given.
 */
export function signWebhook(body: Uint8Array | string, options: SignWebhookOptions): Record<string, string> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : rawBytes(body)
  if (options === undefined) throw invalid('options', 'an object with secrets', options)
  const given = checkOptions(options, 'options', ['secrets', 'id', 'timestamp']) as SignWebhookOptions
  const secrets = completeSecrets(given.secrets)
  const id = given.id === undefined ? randomUUID() : checkText(given.id, 'options.id')
  const timestamp = given.timestamp === undefined ? timestampOf(bytes) : given.timestamp
  checkInteger(timestamp, 'options.timestamp', 0, 9_007_199_254_740)
  const lines = callNative(() => native.nativeSignWebhook(bytes, secrets, id, timestamp))
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  for (let index = 0; index + 1 < lines.length; index += 2) headers[lines[index] ?? ''] = lines[index + 1] ?? ''
  return headers
}

function timestampOf(bytes: Buffer): number {
  try {
    const { timestamp } = JSON.parse(bytes.toString()) as { timestamp?: unknown }
    if (typeof timestamp === 'number') return timestamp
  } catch {
    // Not JSON: the caller has to say.
  }
  throw new ConfigError('CONFIG_INVALID', 'options.timestamp must be given when the body has no `timestamp` of its own')
}
