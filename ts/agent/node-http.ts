// The handler for Express and for bare `node:http`: it reads the raw bytes on its route, whatever else is mounted, and
// refuses a body that somebody parsed before. It never throws and never answers twice.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { headersOf, isLine, refuseHead, TOO_LARGE, TOO_SLOW } from './handler.js'
import { type Answer, INTERNAL_ERROR, type Receiver } from './receiver.js'

/** A request listener for `node:http`, and a route handler for Express and what is like it. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: unknown) => void

/** How long the rest of a body that is too large is thrown away, so that the sender can read the answer. */
const LINGER_MS = 1_000

/** Serves requests as Node brings them. */
export function nodeHandler(receiver: Receiver): NodeHandler {
  return (request, response) => {
    answerTo(receiver, request).then(
      (answer) => send(request, response, answer),
      () => send(request, response, INTERNAL_ERROR),
    )
  }
}

async function answerTo(receiver: Receiver, request: IncomingMessage): Promise<Answer | undefined> {
  const { headers } = request
  const head = {
    method: request.method,
    contentType: headers['content-type'],
    contentEncoding: headers['content-encoding'],
    contentLength: headers['content-length'],
  }
  const refusal = refuseHead(head, receiver.maxBodyBytes)
  if (refusal !== undefined) return refusal
  const body = await rawBody(request, receiver)
  if (body === 'cut') return undefined
  if (body === 'tooSlow') return TOO_SLOW
  if (body === 'parsed') return receiver.refuseParsedBody()
  if (body === 'tooLarge' || body.byteLength > receiver.maxBodyBytes) return TOO_LARGE
  return receiver.receive(linesOf(request), body)
}

function linesOf({ rawHeaders }: IncomingMessage): string[] {
  const lines: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name, value] = [rawHeaders[index], rawHeaders[index + 1]]
    if (name !== undefined && value !== undefined && isLine(name)) lines.push(name, value)
  }
  return lines
}

type Read = Uint8Array | 'tooLarge' | 'tooSlow' | 'cut'

/** The bytes as they were sent: kept by somebody before us, or read now. */
async function rawBody(request: IncomingMessage, receiver: Receiver): Promise<Read | 'parsed'> {
  const { rawBody: kept, body } = request as { rawBody?: unknown; body?: unknown }
  if (kept instanceof Uint8Array) return kept
  if (typeof kept === 'string') return Buffer.from(kept)
  if (body instanceof Uint8Array) return body
  if (request.readableDidRead || request.readableEnded) return 'parsed'
  return read(request, receiver)
}

function read(request: IncomingMessage, { maxBodyBytes, bodyTimeoutMs }: Receiver): Promise<Read> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let size = 0
    const end = (result: Read): void => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd)
      resolve(result)
    }
    const giveUp = (result: 'tooLarge' | 'tooSlow'): void => {
      chunks.length = 0
      request.pause()
      end(result)
    }
    const onData = (chunk: Uint8Array): void => {
      size += chunk.byteLength
      if (size > maxBodyBytes) giveUp('tooLarge')
      else chunks.push(chunk)
    }
    const onEnd = (): void => end(Buffer.concat(chunks, size))
    const timer = setTimeout(giveUp, bodyTimeoutMs, 'tooSlow')
    request.on('data', onData).once('end', onEnd)
    request.once('error', () => end('cut'))
    request.once('close', () => end('cut'))
  })
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
