// Job webhooks for tests: built like the dispatcher's, signed with node:crypto and not with the code under test.

import { createHmac } from 'node:crypto'
import { AccessToken } from 'livekit-server-sdk'

export const SECRET = 'a-webhook-secret-of-thirty-two-bytes'

/** What can be changed about a webhook. */
export interface JobWebhook {
  body: string
  headers: Record<string, string>
}

let jobs = 0

/** A join token as LiveKit mints it for an agent. `{ ttl: 0 }` leaves `exp` out. */
export async function joinToken(
  room: string,
  options: { identity?: string; apiKey?: string; apiSecret?: string; ttl?: number; grants?: object } = {},
): Promise<string> {
  const {
    identity = 'agent-1',
    apiKey = 'devkey',
    apiSecret = 'a-loopback-secret-of-thirty-two-bytes!',
    ttl = 600,
  } = options
  const token = new AccessToken(apiKey, apiSecret, { identity, ...(ttl > 0 ? { ttl } : {}) })
  token.addGrant({ room, roomJoin: true, canUpdateOwnMetadata: true, ...options.grants })
  return token.toJwt()
}

/** A JWT with exactly these claims and no valid signature, as nobody checks it here. */
export function bareToken(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`
}

/** The body of a job webhook for a room of its own, with these fields changed; `undefined` leaves one out. */
export async function jobBody(change: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  jobs += 1
  const room = (change.room as { name?: string } | undefined)?.name ?? `room-${process.pid}-${jobs}`
  return {
    event: 'job',
    job_id: `AJ_${process.pid}_${jobs}`,
    dispatch_id: `AD_${jobs}`,
    job_type: 'JT_ROOM',
    agent_name: 'echo',
    room: { sid: `RM_${jobs}`, name: room, created_at: 1_700_000_000, metadata: '', num_participants: 1 },
    metadata: '{"from":"dispatch"}',
    attributes: { tier: 'gold' },
    access_token: await joinToken(room),
    participant_identity: 'agent-1',
    server_url: 'ws://127.0.0.1:9',
    attempt: 1,
    deadline_ms: 10_000,
    timestamp: Math.floor(Date.now() / 1_000),
    ...change,
  }
}

/** Signs a body as the dispatcher does. */
export function sign(body: Record<string, unknown> | string, secret = SECRET): JobWebhook {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return {
    body: text,
    headers: {
      'content-type': 'application/json',
      'x-livekit-signature': createHmac('sha256', secret).update(text).digest('hex'),
    },
  }
}
