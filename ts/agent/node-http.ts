// The handler for Express and for bare `node:http`: it reads the raw bytes on its route, whatever else is mounted, or
// takes them from whoever kept them. It refuses other frameworks' objects at once, and never answers twice.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WebhookHeaders } from '../webhook/headers.js'
import { bodyWasRead, wrongMount } from '../webhook/raw-body.js'
import { answerTo, type Body, headersOf, logFailure } from './handler.js'
import type { Answer, Receiver } from './receiver.js'

/** A request listener for `node:http`, and a route handler for Express and what is like it. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: unknown) => void

/** How long the rest of a body that is too large is thrown away, so that the sender can read the answer. */
const LINGER_MS = 1_000

/** Serves requests as Node brings them. Throws for what is no request of Node's, and for nothing else. */
export function nodeHandler(receiver: Receiver): NodeHandler {
  return (request, response) => {
    checkObjects(request, response)
    void serve(receiver, request, response)
  }
}

function checkObjects(request: unknown, response: unknown): void {
  const { on, headers } = (request ?? {}) as Partial<IncomingMessage>
  const { writeHead, end } = (response ?? {}) as Partial<ServerResponse>
  const requestFits = typeof on === 'function' && typeof headers === 'object'
  if (requestFits && typeof writeHead === 'function' && typeof end === 'function') return
  const error = wrongMount("Node's own request and response", requestFits ? response : request)
  logFailure(error)
  throw error
}

async function serve(receiver: Receiver, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    // What fails on either from here on shows in what is read and written.
    request.on('error', ignore)
    response.on?.('error', ignore)
    const answer = await answerTo(receiver, () => ({
      method: request.method,
      headers: headersAsSent(request),
      address: addressOf(request),
      read: (open) => read(request, open),
    }))
    send(request, response, answer)
  } catch (error) {
    logFailure(error)
  }
}

function ignore(): void {}

/** Raw lines show a line that came twice; adapters of serverless platforms have parsed headers alone. */
function headersAsSent({ rawHeaders, headersDistinct, headers }: IncomingMessage): WebhookHeaders {
  if (Array.isArray(rawHeaders) && rawHeaders.length > 0) return rawHeaders
  const distinct = headersDistinct ?? {}
  if (Object.keys(distinct).length > 0) return distinct
  // serverless-http counts the body itself and writes the number down as one.
  const texts = Object.entries(headers).map(([name, value]) => [name, typeof value === 'number' ? `${value}` : value])
  return Object.fromEntries(texts) as WebhookHeaders
}

/** Express knows it behind the proxies that it was told to trust; else it is who holds the connection. */
function addressOf(request: IncomingMessage): string | undefined {
  const { ip } = request as { ip?: unknown }
  return typeof ip === 'string' ? ip : request.socket?.remoteAddress
}

/** A property that somebody else may have made a getter that throws. */
function keptBytes(request: IncomingMessage, key: 'rawBody' | 'body'): Uint8Array | undefined {
  try {
    const kept = (request as { rawBody?: unknown; body?: unknown })[key]
    if (kept instanceof Uint8Array) return kept
    // A parsed body can be a string too, `rawBody` only the text as it came.
    return typeof kept === 'string' && key === 'rawBody' ? Buffer.from(kept) : undefined
  } catch {
    return undefined
  }
}

/** The bytes as they were sent: kept by somebody before us, or read now. */
function read(request: IncomingMessage, open: () => Body): Uint8Array | Body {
  const wasRead = request.readableDidRead || request.readableEnded
  const kept = keptBytes(request, 'rawBody') ?? (wasRead ? keptBytes(request, 'body') : undefined)
  if (kept !== undefined) return kept
  const body = open()
  if (wasRead) body.fail(bodyWasRead())
  else listen(request, body)
  return body
}

function listen(request: IncomingMessage, body: Body): void {
  const onData = (piece: unknown): void => body.push(piece, request.readableEncoding)
  const onEnd = (): void => body.end()
  const onCut = (): void => body.cut()
  const off = (): void => {
    request.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut)
    if (!request.readableEnded) request.pause()
  }
  body.done.then(off, off)
  request.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut)
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer | undefined): void {
  if (answer === undefined || response.headersSent || response.writableEnded || response.destroyed) return
  response.writeHead(answer.status, { ...headersOf(answer), 'content-length': Buffer.byteLength(answer.body) })
  response.end(answer.body)
  if (request.complete || request.readableEnded) return
  // A sender that is still busy sending would lose the answer if the connection were cut now.
  request.resume()
  const timer = setTimeout(() => request.destroy(), LINGER_MS)
  request.once('close', () => clearTimeout(timer))
}
