// Gateway tokens as the real gateway judges them: HS256, known issuer, `inference.perform`, not before, not after.

import { createHmac, timingSafeEqual } from 'node:crypto'

/** A key pair that a gateway knows. */
export interface GatewayKeys {
  apiKey: string
  apiSecret: string
}

/** What a token says. */
export interface GatewayClaims {
  iss?: string
  sub?: string
  nbf?: number
  exp?: number
  inference?: { perform?: boolean }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function sign(input: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(input).digest()
}

/** Signs claims, for tests that speak to the gateway by hand. */
export function mintGatewayToken(keys: GatewayKeys, claims: GatewayClaims = {}, nowMs = Date.now()): string {
  const now = Math.floor(nowMs / 1000)
  const body = {
    iss: keys.apiKey,
    sub: 'agent',
    nbf: now,
    exp: now + 600,
    inference: { perform: true },
    ...claims,
  }
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(body)}`
  return `${input}.${sign(input, keys.apiSecret).toString('base64url')}`
}

/** The claims of a token, unverified. */
export function readGatewayToken(token: string): GatewayClaims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as GatewayClaims
}

/** Why a bearer is refused, or its claims. */
export function judgeGatewayToken(
  authorization: string | undefined,
  keys: GatewayKeys,
  nowMs: number,
): { refused: string } | { claims: GatewayClaims } {
  const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1]
  if (token === undefined) return { refused: 'no bearer' }
  const [header, body, signature] = token.split('.')
  if (header === undefined || body === undefined || signature === undefined) return { refused: 'not a token' }
  const expected = sign(`${header}.${body}`, keys.apiSecret)
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { refused: 'signature' }
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg?: string }
  const claims = readGatewayToken(token)
  const now = Math.floor(nowMs / 1000)
  if (alg !== 'HS256') return { refused: 'algorithm' }
  if (claims.iss !== keys.apiKey) return { refused: 'issuer' }
  if (claims.inference?.perform !== true) return { refused: 'grant' }
  if (claims.nbf !== undefined && claims.nbf > now + 1) return { refused: 'not yet valid' }
  if (claims.exp === undefined || claims.exp <= now) return { refused: 'expired' }
  return { claims }
}
