// What the gateway says, as v3 content. It reads defensively: a field that is missing or of another type is absent, and
// an answer without any choice is an error, never an empty success.

import type { FinishReason, JsonObject, ResponseFacts, Usage } from '../spec.js'

/** A message, or the piece of one that a stream delivers. */
export interface WireAnswer {
  content?: unknown
  reasoning_content?: unknown
  reasoning?: unknown
  refusal?: unknown
  tool_calls?: unknown
}

/** One alternative of an answer. */
export interface WireChoice {
  message?: WireAnswer | null
  delta?: WireAnswer | null
  finish_reason?: unknown
}

/** A whole completion or a chunk of one. */
export interface WireCompletion {
  id?: unknown
  created?: unknown
  model?: unknown
  type?: unknown
  choices?: unknown
  usage?: JsonObject | null
  /** An error that arrives with status 200. */
  error?: unknown
}

/** The first choice: no more are asked for. */
export function firstChoice({ choices }: WireCompletion): WireChoice | undefined {
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  return typeof first === 'object' && first !== null ? (first as WireChoice) : undefined
}

/** Which response this is. */
export function responseFacts(completion: WireCompletion): ResponseFacts {
  const facts: ResponseFacts = {}
  if (typeof completion.id === 'string' && completion.id !== '') facts.id = completion.id
  if (typeof completion.model === 'string' && completion.model !== '') facts.modelId = completion.model
  if (typeof completion.created === 'number') facts.timestamp = new Date(completion.created * 1000)
  return facts
}

const REASONS: Record<string, FinishReason['unified']> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  tool_calls: 'tool-calls',
  function_call: 'tool-calls',
  error: 'error',
}

/** Why the model says that it stopped; an empty word is none. */
export function givenReason(raw: unknown): string | undefined {
  return typeof raw === 'string' && raw.trim() !== '' ? raw : undefined
}

/** Why the model stopped. Some vendors say `stop` when they mean that a tool shall run, all when the model refuses. */
export function finishReason(raw: string | undefined, calledTools: boolean, refused: boolean): FinishReason {
  const unified = (raw && REASONS[raw]) || 'other'
  if (unified !== 'stop') return { unified, raw }
  return { unified: calledTools ? 'tool-calls' : refused ? 'content-filter' : 'stop', raw }
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

/** Words of an answer. */
export interface Words {
  type: 'text' | 'reasoning'
  text: string
}

const isRefusal = ({ refusal }: { refusal?: unknown }): boolean => typeof refusal === 'string' && refusal !== ''

/**
 * The words of a message or of a piece of one, in their order, and whether the model refuses. Content is a text or a list
 * of parts (Mistral's thoughts, OpenAI's refusals); what is neither is no words.
 */
export function words(answer: WireAnswer): { said: Words[]; refused: boolean } {
  const said: Words[] = []
  const say = (type: Words['type'], text: unknown) => {
    if (typeof text === 'string' && text !== '') said.push({ type, text })
  }
  say('reasoning', answer.reasoning_content ?? answer.reasoning)
  const parts = Array.isArray(answer.content) ? answer.content : [{ type: 'text', text: answer.content }]
  let refused = isRefusal(answer)
  for (const part of parts as unknown[]) {
    if (typeof part === 'string') say('text', part)
    if (typeof part !== 'object' || part === null) continue
    const { type, text, thinking, refusal } = part as Record<string, unknown>
    if (type === 'text' || type === 'output_text') say('text', text)
    else if (type === 'reasoning') say('reasoning', text)
    else if (type === 'thinking') for (const thought of thoughts(thinking)) say('reasoning', thought)
    else if (type === 'refusal') {
      refused ||= isRefusal({ refusal })
      say('text', refusal)
    }
  }
  say('text', answer.refusal)
  return { said, refused }
}

function thoughts(thinking: unknown): unknown[] {
  return Array.isArray(thinking) ? thinking.map((part) => (part as { text?: unknown } | null)?.text) : [thinking]
}
