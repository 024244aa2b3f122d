// HTTP in, bytes and header lines out: the checks that come before any cryptography, for whichever framework brings the
// request, and the handler for those that bring a `Request`. It refuses to hold more of a body than the limit.

import type { Answer, Receiver } from './receiver.js'

/** The headers that verification looks at. */
const LINES = ['x-livekit-signature', 'x-livekit-timestamp', 'webhook-id', 'webhook-timestamp', 'webhook-signature']
const JSON_TYPES = ['application/json', 'application/webhook+json']

/** The head of a request. */
export interface Head {
  method: string | undefined
  contentType: string | null | undefined
  contentEncoding: string | null | undefined
  contentLength: string | null | undefined
}

/** The refusal of a body over the limit. */
export const TOO_LARGE: Answer = { status: 413, body: '{"accepted":false,"error":"Body too large"}' }

/** The refusal of a body that does not arrive. */
export const TOO_SLOW: Answer = { status: 408, body: '{"accepted":false,"error":"Body too slow"}' }

/** Refuses what need not be read. */
export function refuseHead(head: Head, maxBodyBytes: number): Answer | undefined {
  if (head.method !== 'POST') return { status: 405, body: '{"accepted":false,"error":"Method not allowed"}' }
  const type = head.contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const encoding = head.contentEncoding?.trim().toLowerCase() ?? ''
  if (!JSON_TYPES.includes(type) || (encoding !== '' && encoding !== 'identity')) {
    return { status: 415, body: '{"accepted":false,"error":"Expected uncompressed application/json"}' }
  }
  if (Number(head.contentLength ?? 0) > maxBodyBytes) return TOO_LARGE
  return undefined
}

/** Whether verification looks at a header. */
export function isLine(name: string): boolean {
  return LINES.includes(name.toLowerCase())
}

/** The headers of an answer. */
export function headersOf(answer: Answer): Record<string, string> {
  return {
    'content-type': 'application/json',
    ...(answer.status === 405 ? { allow: 'POST' } : {}),
    ...(answer.retryAfterS === undefined ? {} : { 'retry-after': String(answer.retryAfterS) }),
  }
}

/** Serves one web `Request`. Never rejects. */
export async function handleRequest(receiver: Receiver, request: Request): Promise<Response> {
  const answer = await answerTo(receiver, request)
  return new Response(answer.body, { status: answer.status, headers: headersOf(answer) })
}

async function answerTo(receiver: Receiver, request: Request): Promise<Answer> {
  const { headers } = request
  const head = {
    method: request.method,
    contentType: headers.get('content-type'),
    contentEncoding: headers.get('content-encoding'),
    contentLength: headers.get('content-length'),
  }
  const refusal = refuseHead(head, receiver.maxBodyBytes)
  if (refusal !== undefined) return refusal
  if (request.bodyUsed) return receiver.refuseParsedBody()
  let body: Uint8Array | Answer
  try {
    body = await readAll(request.body, receiver)
  } catch {
    // The sender went away in the middle; nobody reads this answer.
    return { status: 400, body: '{"accepted":false,"error":"Incomplete body"}' }
  }
  if (!(body instanceof Uint8Array)) return body
  // `Headers` has joined repeated lines by a comma, which reads as a list of signatures: no line of it is unchecked.
  const lines = LINES.flatMap((name) => {
    const value = headers.get(name)
    return value === null ? [] : [name, value]
  })
  return receiver.receive(lines, body)
}

/** Reads a body; too long or too slow, its refusal, and the rest is not read. */
async function readAll(
  stream: ReadableStream<Uint8Array> | null,
  { maxBodyBytes, bodyTimeoutMs }: Receiver,
): Promise<Uint8Array | Answer> {
  if (stream === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = stream.getReader()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Answer>((resolve) => {
    timer = setTimeout(resolve, bodyTimeoutMs, TOO_SLOW)
  })
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late])
      if ('status' in next) return refuse(reader, next)
      if (next.done) return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)
      size += next.value.byteLength
      if (size > maxBodyBytes) return refuse(reader, TOO_LARGE)
      chunks.push(next.value)
    }
  } finally {
    clearTimeout(timer)
  }
}

function refuse(reader: ReadableStreamDefaultReader<Uint8Array>, answer: Answer): Answer {
  void reader.cancel().catch(() => {})
  return answer
}
