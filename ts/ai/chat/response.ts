// What the gateway says, as v3 content. It reads defensively: a field that is missing or of another type is absent, and
// an answer without any choice is an error, never an empty success.

import type { Content, FinishReason, JsonObject, ResponseFacts, Usage } from '../spec.js'

/** A tool call on the wire; in a stream it comes in pieces. */
export interface WireToolCall {
  index?: number
  id?: string | null
  function?: { name?: string | null; arguments?: string | null } | null
  extra_content?: JsonObject | null
}

/** A message, or the piece of one that a stream delivers. */
export interface WireAnswer {
  content?: string | null
  reasoning_content?: string | null
  reasoning?: string | null
  tool_calls?: WireToolCall[] | null
}

/** An error that arrives with status 200, in a body or in the middle of a stream. */
export interface WireError {
  message?: unknown
  type?: unknown
  code?: unknown
}

/** A whole completion or a chunk of one. */
export interface WireCompletion {
  id?: string | null
  created?: number | null
  model?: string | null
  choices?: { message?: WireAnswer; delta?: WireAnswer; finish_reason?: string | null }[] | null
  usage?: JsonObject | null
  error?: WireError | null
}

/** Which response this is. */
export function responseFacts(completion: WireCompletion): ResponseFacts {
  const facts: ResponseFacts = {}
  if (typeof completion.id === 'string') facts.id = completion.id
  if (typeof completion.model === 'string') facts.modelId = completion.model
  if (typeof completion.created === 'number') facts.timestamp = new Date(completion.created * 1000)
  return facts
}

const REASONS: Record<string, FinishReason['unified']> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  tool_calls: 'tool-calls',
  function_call: 'tool-calls',
}

/** Why the model stopped. Some vendors say `stop` when they mean that a tool shall run. */
export function finishReason(raw: string | null | undefined, calledTools: boolean): FinishReason {
  const unified = (raw && REASONS[raw]) || 'other'
  return { unified: unified === 'stop' && calledTools ? 'tool-calls' : unified, raw: raw ?? undefined }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function object(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}

/** Tokens; a number that the gateway did not give stays undefined. */
export function usage(raw: JsonObject | null | undefined): Usage {
  const given = object(raw)
  const input = count(given.prompt_tokens)
  const output = count(given.completion_tokens)
  const cached = count(object(given.prompt_tokens_details).cached_tokens)
  const reasoning = count(object(given.completion_tokens_details).reasoning_tokens)
  return {
    inputTokens: {
      total: input,
      noCache: input === undefined ? undefined : input - (cached ?? 0),
      cacheRead: cached,
      cacheWrite: undefined,
    },
    outputTokens: {
      total: output,
      text: output === undefined ? undefined : output - (reasoning ?? 0),
      reasoning,
    },
    ...(raw === null || raw === undefined ? {} : { raw }),
  }
}

/** The content of a whole answer: thoughts, then words, then tool calls. */
export function answerContent(answer: WireAnswer): Content[] {
  const content: Content[] = []
  const thoughts = answer.reasoning_content ?? answer.reasoning
  if (typeof thoughts === 'string' && thoughts !== '') content.push({ type: 'reasoning', text: thoughts })
  if (typeof answer.content === 'string' && answer.content !== '') content.push({ type: 'text', text: answer.content })
  for (const [index, call] of (answer.tool_calls ?? []).entries()) {
    content.push({
      type: 'tool-call',
      toolCallId: call.id ?? `call_${index}`,
      toolName: call.function?.name ?? '',
      input: call.function?.arguments || '{}',
      ...toolMetadata(call.extra_content),
    })
  }
  return content
}

/** What a vendor attached to a tool call and wants back with its result (Gemini's thought signatures). */
export function toolMetadata(extra: JsonObject | null | undefined): {
  providerMetadata?: { livekit: { extraContent: JsonObject } }
} {
  return extra === null || extra === undefined ? {} : { providerMetadata: { livekit: { extraContent: extra } } }
}
