// signWebhook against the vectors that the Rust tests read too, and what it refuses.

import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createAgent } from '../../ts/index.js'
import { signWebhook } from '../../ts/webhook.js'

interface Vectors {
  secret: string
  signing: { secrets: string[]; id: string; timestamp: number; body: string; headers: Record<string, string> }[]
}

const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../tests/vectors/webhook.json'), 'utf8'),
) as Vectors

describe('signWebhook', () => {
  const secrets = vectors.secret

  test('signing gives the vectors’ headers', () => {
    for (const { body, headers, ...options } of vectors.signing) {
      expect(signWebhook(body, options)).toEqual({ 'Content-Type': 'application/json', ...headers })
    }
  })

  test('takes the timestamp from the body and makes up an id', () => {
    const headers = signWebhook('{"timestamp":5}', { secrets })
    expect(headers['X-LiveKit-Timestamp']).toBe('5')
    expect(headers['webhook-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(headers['webhook-id']).not.toBe(signWebhook('{"timestamp":5}', { secrets })['webhook-id'])
  })

  test('F-W8: its headers and the body are a whole request', async () => {
    const agent = createAgent({ secrets, entry: () => {} })
    const body = JSON.stringify({
      event: 'terminated',
      job_id: 'AJ_1',
      room: { sid: 'RM_1', name: 'lobby' },
      reason: 'expired',
      timestamp: Math.floor(Date.now() / 1000),
    })
    const request = new Request('http://localhost/agent', {
      method: 'POST',
      headers: signWebhook(body, { secrets }),
      body: Buffer.from(body),
    })
    expect((await agent.fetch(request)).status).toBe(200)
  })

  test('signs what node:crypto signs', () => {
    const body = Buffer.from([0xff, 0x00, 0xfe])
    const expected = createHmac('sha256', secrets).update(body).digest('hex')
    expect(signWebhook(body, { secrets, timestamp: 1 })['X-LiveKit-Signature']).toBe(expected)
  })

  test.each([
    ['no options', '{}', undefined],
    ['no timestamp anywhere', '{}', { secrets }],
    ['a body that is no JSON and no timestamp', 'x', { secrets }],
    ['a JSON null and no timestamp', 'null', { secrets }],
    ['a negative timestamp', '{}', { secrets, timestamp: -1 }],
    ['a NaN timestamp', '{}', { secrets, timestamp: Number.NaN }],
    ['an id with a dot', '{}', { secrets, timestamp: 1, id: 'a.b' }],
    ['an empty id', '{}', { secrets, timestamp: 1, id: '' }],
    ['an unknown option', '{}', { secrets, timestamps: 1 }],
    ['only an expired secret', '{}', { secrets: { secret: secrets, notAfter: 999 }, timestamp: 1 }],
  ])('refuses %s', (_, body, options) => {
    expect(() => signWebhook(body, options as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  test('refuses a body that is neither bytes nor text', () => {
    expect(() => signWebhook({} as never, { secrets, timestamp: 1 })).toThrow(
      expect.objectContaining({ code: 'RAW_BODY_UNAVAILABLE' }),
    )
  })
})
