// What may stand in a request's body. `extra_headers`, `extra_body` and `extra_query` are arguments of a client, not of
// the model: copied into a body they reach the model's server, so they are taken out. Bodies that are streams, forms or
// not JSON are never touched.

import { log } from '../base/log.js'
import { anyEntries, type HeaderEntry, type OnDrop } from './headers.js'

const STRAY = ['extra_headers', 'extra_body', 'extra_query'] as const

/** A body that was cleaned, and the headers that stood in it. */
export interface CleanBody {
  body: string
  headers: HeaderEntry[]
}

/**
 * Takes stray client arguments out of a JSON body: `extra_headers` become headers of the call, the others are dropped.
 * `undefined` when there is nothing to take out, so that the body goes out as it came.
 */
export function withoutStrayArguments(body: unknown, onDrop: OnDrop): CleanBody | undefined {
  const text = textOf(body)
  const parsed = text === undefined ? undefined : parseObject(text)
  if (parsed === undefined) return undefined
  const found = STRAY.filter((name) => Object.hasOwn(parsed, name))
  if (found.length === 0) return undefined
  log.warn('client arguments were taken out of a request body', { names: found })
  const extra = parsed.extra_headers
  for (const name of found) delete parsed[name]
  const headers =
    typeof extra === 'object' && extra !== null
      ? anyEntries(extra, onDrop, () => onDrop('extra_headers', 'no-pair'))
      : []
  return { body: JSON.stringify(parsed), headers }
}

/** The body as text if it can hold a stray argument at all; looking for the word is far cheaper than parsing. */
function textOf(body: unknown): string | undefined {
  if (typeof body === 'string') return mayHoldStray(body) ? body : undefined
  const bytes =
    body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : arrayBufferOf(body)
  return bytes?.includes('"extra_') === true ? bytes.toString('utf8') : undefined
}

// Every quotation mark of a JSON text stops a search for `"extra_`; underscores are rare, so three such searches together
// cost a tenth of it.
function mayHoldStray(text: string): boolean {
  const ends = text.includes('_headers"') || text.includes('_body"') || text.includes('_query"')
  return ends && text.includes('"extra_')
}

function arrayBufferOf(body: unknown): Buffer | undefined {
  return body instanceof ArrayBuffer ? Buffer.from(body) : undefined
}

/** Whether a JSON body asks for its answer in pieces. */
export function asksForStream(body: unknown): boolean {
  const bytes = body instanceof Uint8Array ? body : arrayBufferOf(body)
  const text =
    bytes === undefined ? body : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return typeof text === 'string' && text.includes('"stream"') && /"stream"\s*:\s*true/.test(text)
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
