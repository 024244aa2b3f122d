// HTTP in, an answer out: the checks that come before any cryptography (docs/webhook-protocol.md §5), for whichever
// framework brings the request. Everything a request can cause ends here in an answer, and whatever goes wrong in one line
// of the log. It refuses to hold more of a body than the limit.

import { Buffer } from 'node:buffer'
import { RoomhookError, WebhookError } from '../base/errors.js'
import { LoggedError, log } from '../base/log.js'
import { kindOf } from '../base/options.js'
import { headerLines, type WebhookHeaders } from '../webhook/headers.js'
import { bodyWasRead, wrongMount } from '../webhook/raw-body.js'
import type { Reading } from './gate.js'
import { type Answer, INTERNAL_ERROR, type Receiver } from './receiver.js'

/** The headers that verification looks at. */
const LINES = ['x-livekit-signature', 'x-livekit-timestamp', 'webhook-id', 'webhook-timestamp', 'webhook-signature']
const SIGNATURES = ['x-livekit-signature', 'webhook-signature']
const JSON_TYPE = /^(?:application\/json|[\w.+-]+\/[\w.+-]+\+json)$/

/** A request, whoever brought it. */
export interface Incoming {
  readonly method: string | undefined
  readonly headers: WebhookHeaders
  /** Who sends it, if the framework tells. */
  readonly address: string | undefined
  /** The body if somebody keeps its bytes, else one that it is being read into. */
  read(open: () => Body): Uint8Array | Body
}

function refusal(status: number, error: string, why: string, retryAfterS?: number): Answer {
  const answer = { status, body: JSON.stringify({ accepted: false, error }), why }
  return retryAfterS === undefined ? answer : { ...answer, retryAfterS }
}

const TOO_SLOW = refusal(408, 'Body too slow', 'the body did not arrive within bodyTimeoutMs')
const tooLarge = (limit: number): Answer => refusal(413, 'Body too large', `expected at most ${limit} bytes of body`)
const tooMany = (why: string, waitS: number): Answer => refusal(429, 'Too many requests', why, waitS)

/** Refuses what need not be read. */
function refuseHead(method: string | undefined, headers: WebhookHeaders, maxBodyBytes: number): Answer | undefined {
  if (method !== 'POST') return refusal(405, 'Method not allowed', 'expected POST')
  const type = headerLines(headers, 'content-type')
  const media = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!JSON_TYPE.test(media)) {
    const got = type === '' ? 'none' : /^[\w.+-]+\/[\w.+-]{1,60}$/.test(media) ? media : 'something else'
    return refusal(415, 'Expected application/json', `expected Content-Type: application/json or any +json, got ${got}`)
  }
  const encoding = headerLines(headers, 'content-encoding').trim().toLowerCase()
  if (encoding !== '' && encoding !== 'identity') {
    return refusal(415, 'Expected an uncompressed body', 'expected no Content-Encoding')
  }
  if (Number(headerLines(headers, 'content-length')) > maxBodyBytes) return tooLarge(maxBodyBytes)
  return undefined
}

/** A body that arrives in pieces, up to a size and for a time. Nothing that is pushed makes it throw. */
export class Body implements Reading {
  readonly signed: boolean
  /** The bytes, or the refusal, or undefined if the sender went away. Rejects when a piece is no bytes. */
  readonly done: Promise<Uint8Array | Answer | undefined>
  readonly #receiver: Receiver
  readonly #pieces: Uint8Array[] = []
  readonly #timer: NodeJS.Timeout
  #bytes = 0
  #ended = false
  #resolve!: (outcome: Uint8Array | Answer | undefined) => void
  #reject!: (error: unknown) => void

  constructor(receiver: Receiver, signed: boolean) {
    this.signed = signed
    this.#receiver = receiver
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.done.catch(() => {})
    this.#timer = setTimeout(() => this.#end(TOO_SLOW), receiver.bodyTimeoutMs)
    receiver.gate.enter(this)
  }

  /** Takes a piece: bytes, or text that somebody decoded them to. */
  push(piece: unknown, encoding?: BufferEncoding | null): void {
    if (this.#ended) return
    const bytes = typeof piece === 'string' ? Buffer.from(piece, encoding ?? 'utf8') : piece
    if (!(bytes instanceof Uint8Array)) {
      const problem = `a piece of the body is ${kindOf(piece)}, where bytes or a string was expected`
      this.fail(new WebhookError('RAW_BODY_UNAVAILABLE', problem))
      return
    }
    this.#bytes += bytes.byteLength
    if (this.#bytes > this.#receiver.maxBodyBytes) this.#end(tooLarge(this.#receiver.maxBodyBytes))
    else this.#pieces.push(bytes)
  }

  /** There is no more of it. */
  end(): void {
    this.#end(this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces, this.#bytes))
  }

  /** Its sender went away. */
  cut(): void {
    this.#end(undefined)
  }

  fail(error: unknown): void {
    this.#reject(error)
    this.#end(undefined)
  }

  giveWay(): void {
    this.#end(tooMany('more bodies arrive at a time than maxReadingBodies allows', 1))
  }

  #end(outcome: Uint8Array | Answer | undefined): void {
    this.#ended = true
    clearTimeout(this.#timer)
    this.#receiver.gate.leave(this)
    this.#pieces.length = 0
    this.#resolve(outcome)
  }
}

/**
 * Answers a request; undefined if nobody waits for an answer any more. Never rejects: `look`, which looks at what the
 * framework brought, may throw like everything else.
 */
export async function answerTo(receiver: Receiver, look: () => Incoming): Promise<Answer | undefined> {
  try {
    const answer = await judge(receiver, look())
    if (answer?.why !== undefined) receiver.logRefusal(answer.status, answer.why)
    return answer
  } catch (error) {
    logFailure(error)
    return INTERNAL_ERROR
  }
}

async function judge(receiver: Receiver, incoming: Incoming): Promise<Answer | undefined> {
  const { method, headers, address } = incoming
  const { maxBodyBytes } = receiver
  const refused = refuseHead(method, headers, maxBodyBytes)
  if (refused !== undefined) return refused
  const signed = SIGNATURES.some((name) => headerLines(headers, name) !== '')
  const waitS = receiver.gate.take(signed, address)
  if (waitS > 0) return tooMany('more requests than rateLimit allows', waitS)
  const given = incoming.read(() => new Body(receiver, signed))
  const body = given instanceof Body ? await given.done : given
  if (!(body instanceof Uint8Array)) return body
  if (body.byteLength > maxBodyBytes) return tooLarge(maxBodyBytes)
  return receiver.receive(linesOf(headers), body, address)
}

function linesOf(headers: WebhookHeaders): string[] {
  return LINES.flatMap((name) => {
    const lines = headerLines(headers, name)
    return lines === '' ? [] : lines.split('\n').flatMap((line) => [name, line])
  })
}

/** Says in the log why the answer is 500. */
export function logFailure(error: unknown): void {
  if (RoomhookError.isInstance(error)) log.error(error.message, { code: error.code })
  else log.error('a webhook could not be handled', { error: LoggedError.of(error) })
}

/** The headers of an answer. */
export function headersOf(answer: Answer): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...(answer.status === 405 ? { allow: 'POST' } : {}),
    ...(answer.retryAfterS === undefined ? {} : { 'retry-after': String(answer.retryAfterS) }),
  }
}

/** Serves one web `Request`. Rejects only for what is no `Request`, and nobody has to be there to catch it. */
export function handleRequest(receiver: Receiver, request: Request): Promise<Response> {
  const response = respond(receiver, request)
  response.catch(() => {})
  return response
}

async function respond(receiver: Receiver, request: Request): Promise<Response> {
  checkRequest(request)
  const answer = await answerTo(receiver, () => ({
    method: request.method,
    // `Headers` has joined repeated lines by a comma, which reads as a list of signatures: no line of it is unchecked.
    headers: request.headers,
    address: undefined,
    read: (open) => {
      const body = open()
      if (request.bodyUsed || request.body?.locked) body.fail(bodyWasRead())
      else void pump(request.body, body)
      return body
    },
  }))
  // A sender that went away in the middle reads no answer.
  const sent = answer ?? refusal(400, 'Incomplete body', 'the sender went away')
  return new Response(sent.body, { status: sent.status, headers: headersOf(sent) })
}

function checkRequest(request: unknown): void {
  const { method, headers, arrayBuffer } = (request ?? {}) as Partial<Request>
  if (typeof method === 'string' && typeof headers?.get === 'function' && typeof arrayBuffer === 'function') return
  const error = wrongMount('a web Request', request)
  logFailure(error)
  throw error
}

/** Runs once a body is refused while it still arrives. Never rejects. */
async function whenRefused(body: Body, stop: () => Promise<void>): Promise<void> {
  const outcome = await body.done.catch(() => undefined)
  if (!(outcome instanceof Uint8Array)) await stop()
}

/** Moves a stream into a body until one of them has ended. Never rejects. */
async function pump(stream: ReadableStream<unknown> | null, body: Body): Promise<void> {
  try {
    if (stream === null) return body.end()
    const reader = stream.getReader()
    void whenRefused(body, () => reader.cancel().catch(() => {}))
    for (let next = await reader.read(); !next.done; next = await reader.read()) body.push(next.value)
    body.end()
  } catch {
    body.cut()
  }
}
