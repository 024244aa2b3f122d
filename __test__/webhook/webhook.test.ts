// verifyWebhook against the vectors that the Rust tests read too, and what only the surface decides. Signing is in
// webhook-sign.test.ts.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { WebhookError } from '../../ts/base/errors.js'
import {
  createWebhookVerifier,
  type JobWebhook,
  signWebhook,
  type VerifyWebhookOptions,
  verifyWebhook,
  type WebhookHeaders,
} from '../../ts/webhook.js'
import { CapturedLogs } from '../support/logs.js'

interface Verdict {
  name: string
  options: {
    secrets: { secret: string; not_after_ms?: number }[]
    agent_name?: string
    scheme?: 'livekit' | 'standard'
  }
  now_ms: number
  headers: [string, string][]
  body?: string
  body_base64?: string
  code: string | null
  message?: string
  expect?: Record<string, unknown>
}

interface Vectors {
  secret: string
  signatures: { name: string; body: string; signature: string }[]
  verdicts: Verdict[]
}

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../tests/vectors/webhook.json'), 'utf8'),
) as Vectors

function optionsOf({ options, now_ms }: Verdict): VerifyWebhookOptions {
  return {
    secrets: options.secrets.map(({ secret, not_after_ms }) =>
      not_after_ms === undefined ? { secret } : { secret, notAfter: not_after_ms },
    ),
    now: now_ms,
    ...(options.agent_name === undefined ? {} : { name: options.agent_name }),
    ...(options.scheme === undefined ? {} : { scheme: options.scheme }),
  }
}

function bodyOf({ body, body_base64 }: Verdict): Buffer {
  return body === undefined ? Buffer.from(body_base64 ?? '', 'base64') : Buffer.from(body)
}

/** What was read, in the shape of the vectors' `expect`: the wire's names, `null` where the body says nothing. */
function seen(webhook: JobWebhook): Record<string, unknown> {
  const { room, participant } = webhook
  const join = webhook.event === 'terminated' ? undefined : webhook
  return {
    event: webhook.event,
    job_id: webhook.jobId,
    dispatch_id: webhook.dispatchId || null,
    job_type: join?.jobType ?? null,
    agent_name: webhook.agentName || null,
    room_sid: room.sid,
    room_name: room.name,
    created_at: room.createdAt === undefined ? null : room.createdAt / 1000,
    metadata: webhook.metadata,
    attributes: webhook.attributes,
    participant_identity: join?.participantIdentity ?? null,
    server_url: join?.serverUrl ?? null,
    status_url: webhook.statusUrl ?? null,
    status_token: webhook.statusToken ?? null,
    access_token: webhook.event === 'job' ? webhook.accessToken : null,
    attempt: webhook.attempt,
    deadline_ms: webhook.deadlineMs ?? null,
    timestamp: webhook.sentAt / 1000,
    ...(participant === undefined ? {} : { participant: { ...participant, kind: participant.kind || null } }),
    ...(webhook.event === 'terminated' ? { reason: webhook.reason } : {}),
  }
}

function refusal(call: () => unknown): WebhookError {
  try {
    call()
  } catch (error) {
    return error as WebhookError
  }
  throw new Error('nothing was thrown')
}

const first = vectors.verdicts[0] as Verdict
const complete = { body: bodyOf(first), headers: first.headers, options: optionsOf(first) }

describe('vectors', () => {
  test.each(vectors.verdicts)('$name', (vector) => {
    const verify = () => verifyWebhook(bodyOf(vector), vector.headers, optionsOf(vector))
    if (vector.code === null) {
      const webhook = verify()
      if (vector.expect !== undefined) expect(seen(webhook)).toEqual(vector.expect)
      return
    }
    const error = refusal(verify)
    expect(error.code).toBe(vector.code)
    expect(error.message).toContain(vector.message ?? '')
  })

  test.each(vectors.signatures)('S1-01 the signature of $name', ({ body, signature }) => {
    const headers = signWebhook(body, { secrets: vectors.secret, timestamp: 1 })
    expect(headers['X-LiveKit-Signature']).toBe(signature)
  })
})

describe('headers', () => {
  const [signature, timestamp] = first.headers.map(([, value]) => value) as [string, string]
  const shapes: Record<string, WebhookHeaders> = {
    'a Headers object': new Headers(first.headers),
    'a record as of node:http': { 'x-livekit-signature': signature, 'x-livekit-timestamp': timestamp, host: 'x' },
    'a record in other case': Object.fromEntries(first.headers),
    'distinct headers': { 'x-livekit-signature': [signature], 'x-livekit-timestamp': [timestamp] },
    'raw headers': first.headers.flat(),
    'pairs of name and value': first.headers,
    'a record with undefined in it': { ...Object.fromEntries(first.headers), other: undefined },
  }
  test.each(Object.entries(shapes))('are taken as %s', (_, headers) => {
    expect(verifyWebhook(complete.body, headers, complete.options).event).toBe('job')
  })

  const repeated: Record<string, WebhookHeaders> = {
    'raw headers': [...first.headers.flat(), 'x-livekit-signature', signature],
    'pairs of name and value': [...first.headers, ['x-livekit-signature', signature]],
    'distinct headers': { 'x-livekit-signature': [signature, signature] },
    'a record with two spellings': { 'X-LiveKit-Signature': signature, 'x-LIVEKIT-signature': signature },
  }
  test.each(Object.entries(repeated))('S1-03 a repeated signature line is refused in %s', (_, headers) => {
    expect(refusal(() => verifyWebhook(complete.body, headers, complete.options)).code).toBe('SIGNATURE_MISSING')
  })

  test('S1-03 two lines that were joined with a comma count as one line, of which one value must match', () => {
    const joined = new Headers(first.headers)
    joined.append('x-livekit-signature', '00'.repeat(32))
    expect(verifyWebhook(complete.body, joined, complete.options).event).toBe('job')
  })

  test.each([null, undefined, 7, 'x-livekit-signature: aa'])('that are %s are a ConfigError', (headers) => {
    expect(refusal(() => verifyWebhook(complete.body, headers as never, complete.options)).code).toBe('CONFIG_INVALID')
  })

  test.each([[['x-livekit-signature', 7]], [['x-livekit-signature']], [[7, 'x']], [[[]]]])(
    'with something else than text in them are a ConfigError: %j',
    (headers) => {
      const error = refusal(() => verifyWebhook(complete.body, headers as never, complete.options))
      expect(error.code).toBe('CONFIG_INVALID')
    },
  )
})

describe('body', () => {
  test('is taken as Buffer, Uint8Array, ArrayBuffer and a view into a larger buffer', () => {
    const { body, headers, options } = complete
    const larger = new Uint8Array(body.length + 20)
    larger.set(body, 10)
    const bodies = [body, new Uint8Array(body), new Uint8Array(body).buffer, larger.subarray(10, 10 + body.length)]
    for (const each of bodies) expect(verifyWebhook(each, headers, options).jobId).toBe('AJ_1')
  })

  test.each([
    ['a parsed object', JSON.parse(complete.body.toString())],
    ['the {} of express without a body parser that matched', {}],
    ['text', complete.body.toString()],
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['an array of numbers', [...complete.body]],
    ['other samples', new Uint16Array(8)],
  ])('S1-04 %s instead of bytes throws an error that names the fix', (_, body) => {
    const error = refusal(() => verifyWebhook(body as never, complete.headers, complete.options))
    expect(error).toMatchObject({ name: 'WebhookError', code: 'RAW_BODY_UNAVAILABLE', retryable: false })
    for (const fix of ['express.raw', 'arrayBuffer()', 'parseAs', 'isBase64Encoded'])
      expect(error.message).toContain(fix)
    expect(error.message).not.toContain('AJ_1')
  })

  test('S1-17 beyond the limit is refused', () => {
    const options = { ...complete.options, maxBodyBytes: complete.body.length - 1 }
    expect(refusal(() => verifyWebhook(complete.body, complete.headers, options)).code).toBe('BODY_TOO_LARGE')
  })

  test('may be large and not ASCII: fields are cut at the right bytes', () => {
    const wire = JSON.parse(complete.body.toString())
    const metadata = 'é🎉"\\'.repeat(20_000)
    const body = Buffer.from(JSON.stringify({ filler: 'ß'.repeat(300_000), ...wire, metadata, status_token: 'ü' }))
    const webhook = verifyWebhook(body, signWebhook(body, { secrets: vectors.secret }), complete.options)
    expect(webhook).toMatchObject({ jobId: 'AJ_1', metadata, statusToken: 'ü', sentAt: first.now_ms })
  })
})

describe('options', () => {
  const secrets = vectors.secret
  test.each([
    ['undefined', undefined, 'options'],
    ['null', null, 'options'],
    ['no secrets', {}, 'options.secrets'],
    ['an empty list of secrets', { secrets: [] }, 'secrets'],
    ['an empty secret', { secrets: '' }, 'secrets'],
    ['a short secret', { secrets: ['0123456789abcde'] }, 'secrets[0]'],
    ['four secrets', { secrets: [secrets, secrets, secrets, secrets] }, 'secrets'],
    ['a null secret', { secrets: [null] }, 'options.secrets[0]'],
    ['a numeric secret', { secrets: [7] }, 'options.secrets[0]'],
    ['a NaN notAfter', { secrets: { secret: secrets, notAfter: Number.NaN } }, 'options.secrets[0].notAfter'],
    ['an invalid Date', { secrets: { secret: secrets, notAfter: new Date('x') } }, 'options.secrets[0].notAfter'],
    ['another scheme', { secrets, scheme: 'stripe' }, 'options.scheme'],
    ['no tolerance', { secrets, clockToleranceS: 0 }, 'options.clockToleranceS'],
    ['a negative tolerance', { secrets, clockToleranceS: -1 }, 'options.clockToleranceS'],
    ['a NaN tolerance', { secrets, clockToleranceS: Number.NaN }, 'options.clockToleranceS'],
    ['a zero body limit', { secrets, maxBodyBytes: 0 }, 'options.maxBodyBytes'],
    ['a numeric name', { secrets, name: 7 }, 'options.name'],
    ['a fractional now', { secrets, now: 1.5 }, 'options.now'],
    ['an unknown option', { secrets, sceme: 'livekit' }, 'did you mean scheme?'],
  ])('S1-06 %s is a ConfigError that names the field', (_, options, named) => {
    for (const call of [
      () => createWebhookVerifier(options as never),
      () => verifyWebhook(complete.body, complete.headers, options as never),
    ]) {
      const error = refusal(call)
      expect(error).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' })
      expect(error.message).toContain(named)
      expect(error.message).not.toContain(secrets)
    }
  })

  test('S1-16 a changed options object takes effect with the next call', () => {
    const options: VerifyWebhookOptions = { secrets: ['another-secret-entirely'], now: first.now_ms }
    const code = () => refusal(() => verifyWebhook(complete.body, complete.headers, options)).code
    expect(code()).toBe('SIGNATURE_INVALID')
    options.secrets = [...(options.secrets as string[]), secrets]
    expect(verifyWebhook(complete.body, complete.headers, options).event).toBe('job')
    const list = options.secrets as (string | { secret: string; notAfter: number })[]
    list[1] = { secret: secrets, notAfter: first.now_ms - 1 }
    expect(code()).toBe('SIGNATURE_INVALID')
    list[1] = { secret: secrets, notAfter: first.now_ms + 1 }
    expect(verifyWebhook(complete.body, complete.headers, options).event).toBe('job')
    options.name = 'waiter'
    expect(code()).toBe('WRONG_AGENT')
  })

  test('without `now` the machine’s clock judges', () => {
    const body = (timestamp: number) => {
      const wire = JSON.parse(complete.body.toString())
      // The token of the vectors is from 2023; an offer needs none.
      return Buffer.from(JSON.stringify({ ...wire, event: 'offer', timestamp }))
    }
    const now = Math.floor(Date.now() / 1000)
    const verifier = createWebhookVerifier({ secrets })
    const fresh = body(now)
    expect(verifier.verify(fresh, signWebhook(fresh, { secrets })).event).toBe('offer')
    const stale = body(now - 400)
    const error = refusal(() => verifier.verify(stale, signWebhook(stale, { secrets })))
    expect(error.code).toBe('TIMESTAMP_OUT_OF_TOLERANCE')
  })

  test('a weak secret is warned about, once, without its text', () => {
    using logs = new CapturedLogs()
    for (let index = 0; index < 3; index++) createWebhookVerifier({ secrets: 'only-seventeen-by' })
    expect(logs.matching('warn').length).toBeLessThanOrEqual(1)
    expect(logs.text()).not.toContain('only-seventeen')
  })
})
