// What the gateway says when it fails, as an error's facts and as a log line. The core reads and judges it
// (src/inference/fault.rs), whichever way it came. The gateway's sentence can repeat what it was asked: it stands in the
// error's `details` and `responseBody`, never in a message or a log.

import { createError, type ErrorCode, type RoomhookError } from '../base/errors.js'
import { log } from '../base/log.js'
import { callNative, native } from '../base/native.js'
import type { InferenceQuota } from './quota.js'

/** A failure that the gateway told of, and whether the same request can succeed later. */
export type InferenceFault = ReturnType<typeof native.readInferenceFault>

/** How much of a failed answer is looked at before its caller gets it, in characters and in milliseconds. */
const PEEK_LENGTH = 65_536
const PEEK_MS = 1_000

/** Reads what the gateway said. `status` is that of the answer, `undefined` for what came inside a good one. */
export function readFault(status: number | undefined, body: string): InferenceFault {
  return callNative(() => native.readInferenceFault(status, body))
}

/** What a failed answer says, which its reader can still read. */
export async function peekFault(response: Response): Promise<InferenceFault> {
  return readFault(response.status, await peek(response).catch(() => ''))
}

// A body that breaks off, or a stand-in for a response that has none, says nothing: the status is enough.
async function peek(response: Response): Promise<string> {
  const reader = response.clone().body?.getReader()
  const timer = setTimeout(() => void reader?.cancel(), PEEK_MS)
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      text += decoder.decode(part.value, { stream: true })
      if (text.length > PEEK_LENGTH) void reader?.cancel()
    }
  } finally {
    clearTimeout(timer)
  }
  return text
}

const isWord = (text: string | undefined): text is string => text !== undefined && /^[\w.-]{1,64}$/.test(text)

/** The gateway's word for what is wrong: only what looks like an identifier, for it is for messages. */
export function faultWord({ category, code, type }: InferenceFault): string | undefined {
  return [category, code, type].find(isWord)
}

/** What may be told to anybody: words, and the hint of a quota, which is a text of the gateway's own (PR 6012). */
function plainFacts(fault: InferenceFault): Record<string, string> {
  const { type, code, category, quotaType, remainingLimit, hint } = fault
  const facts = Object.entries({ type, code, category, quotaType, remainingLimit }).filter(([, fact]) => isWord(fact))
  return { ...Object.fromEntries(facts as [string, string][]), ...(isLimit(fault) && hint ? { hint } : {}) }
}

/**
 * The error of a failure. `expected` begins its message, `advice` ends it. Its `responseBody` and `details.message` are
 * read by name only: a logger that prints an error's members does not print them.
 */
export function faultError(
  code: ErrorCode,
  [expected, advice]: readonly [string, string],
  fault: InferenceFault,
  more: Readonly<Record<string, unknown>> = {},
): RoomhookError {
  const { statusCode, retryable, body, message, hint } = fault
  const facts = Object.entries({ statusCode, ...plainFacts(fault), ...more })
  const details: object = Object.fromEntries(facts.filter(([, fact]) => fact !== undefined && fact !== null))
  if (message !== undefined) Object.defineProperty(details, 'message', { value: message })
  if (hint !== undefined && !('hint' in details)) Object.defineProperty(details, 'hint', { value: hint })
  const word = faultWord(fault)
  const error = createError(code, `${expected}${word === undefined ? '' : ` (${word})`}; ${advice}`, {
    retryable,
    details: details as Record<string, unknown>,
  })
  return Object.defineProperty(error, 'responseBody', { value: body })
}

/** Says that a quota or a limit was passed, and what the gateway said about it. */
export function reportQuota(fault: InferenceFault, quota: InferenceQuota | undefined): void {
  const message = fault.retryable
    ? 'the inference gateway asks for fewer requests'
    : 'the inference gateway refuses because a quota is used up; waiting does not help'
  log.warn(message, { ...plainFacts(fault), ...quota })
}

/** Whether a failure is about a quota or a limit. */
export function isQuota(fault: InferenceFault): boolean {
  return fault.statusCode === 429 || isLimit(fault)
}

function isLimit({ category, type }: InferenceFault): boolean {
  return category !== undefined || type === 'inference_quota_exceeded'
}
