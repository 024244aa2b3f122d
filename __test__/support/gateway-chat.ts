// Chat completions of the local gateway: one reply, whole or as a stream of server-sent events.

import type { ServerResponse } from 'node:http'

/** One tool call of a reply. */
export interface ChatToolCall {
  id?: string
  name: string
  /** JSON text, or the pieces in which a stream delivers it. */
  arguments: string | string[]
  /** What some vendors attach and want back. */
  extraContent?: object
}

/** What the model says. */
export interface ChatReply {
  /** The pieces of the text. */
  text?: string[]
  reasoning?: string[]
  toolCalls?: ChatToolCall[]
  finishReason?: string
  /** Cut the TCP connection after so many events of a stream. */
  cutAfter?: number
  /** End the stream properly after so many events, without a reason to finish. */
  endAfter?: number
  /** An error in the middle of a stream, after the text. */
  streamError?: { message: string; code?: string; type?: string }
  /** The message of a whole answer, word for word. */
  message?: object
  /** The events of a stream, word for word: a text as it is, else JSON. Nothing else is sent, `[DONE]` neither. */
  events?: unknown[]
  /** Wait for this between `[DONE]` and the end of the body. */
  holdEnd?: Promise<unknown>
  /** Wait for this before each event but the first: a slow model. */
  hold?: (index: number) => Promise<unknown>
}

/** A chat request's body, as far as tests look at it. */
export interface ChatBody {
  model: string
  stream?: boolean
  messages: { role: string; content?: unknown; tool_calls?: unknown[]; tool_call_id?: string }[]
  tools?: unknown[]
  [field: string]: unknown
}

const USAGE = {
  prompt_tokens: 11,
  completion_tokens: 7,
  total_tokens: 18,
  prompt_tokens_details: { cached_tokens: 3 },
  completion_tokens_details: { reasoning_tokens: 2 },
}

function whole(call: ChatToolCall): string {
  return Array.isArray(call.arguments) ? call.arguments.join('') : call.arguments
}

function reason(reply: ChatReply): string {
  return reply.finishReason ?? (reply.toolCalls === undefined ? 'stop' : 'tool_calls')
}

function envelope(body: ChatBody, object: string): object {
  return { id: 'chatcmpl-1', object, created: 1_700_000_000, model: body.model }
}

function asObject(body: ChatBody, reply: ChatReply): object {
  const message = reply.message ?? {
    role: 'assistant',
    content: reply.text === undefined ? null : reply.text.join(''),
    ...(reply.reasoning === undefined ? {} : { reasoning_content: reply.reasoning.join('') }),
    ...(reply.toolCalls === undefined
      ? {}
      : {
          tool_calls: reply.toolCalls.map((call, index) => ({
            id: call.id ?? `call_${index}`,
            type: 'function',
            function: { name: call.name, arguments: whole(call) },
            ...(call.extraContent === undefined ? {} : { extra_content: call.extraContent }),
          })),
        }),
  }
  return {
    ...envelope(body, 'chat.completion'),
    choices: [{ index: 0, message, finish_reason: reason(reply) }],
    usage: USAGE,
  }
}

function toolDeltas(call: ChatToolCall, index: number): object[] {
  const pieces = Array.isArray(call.arguments) ? call.arguments : [call.arguments]
  return pieces.map((piece, at) => ({
    tool_calls: [
      at === 0
        ? {
            index,
            id: call.id ?? `call_${index}`,
            type: 'function',
            function: { name: call.name, arguments: piece },
            ...(call.extraContent === undefined ? {} : { extra_content: call.extraContent }),
          }
        : { index, function: { arguments: piece } },
    ],
  }))
}

function events(body: ChatBody, reply: ChatReply): object[] {
  const base = envelope(body, 'chat.completion.chunk')
  const choice = (delta: object, finish: string | null = null) => ({
    ...base,
    choices: [{ index: 0, delta, finish_reason: finish }],
  })
  return [
    choice({ role: 'assistant', content: '' }),
    ...(reply.reasoning ?? []).map((piece) => choice({ reasoning_content: piece })),
    ...(reply.text ?? []).map((piece) => choice({ content: piece })),
    ...(reply.toolCalls ?? []).flatMap((call, index) => toolDeltas(call, index).map((delta) => choice(delta))),
    ...(reply.streamError === undefined ? [] : [{ error: reply.streamError }]),
    choice({}, reason(reply)),
    { ...base, choices: [], usage: USAGE },
  ]
}

/** Answers one chat request. */
export async function answerChat(response: ServerResponse, body: ChatBody, reply: ChatReply): Promise<void> {
  if (body.stream !== true) {
    await reply.hold?.(0)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(asObject(body, reply)))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const all = reply.events ?? events(body, reply)
  for (const [index, event] of all.entries()) {
    if (index === reply.cutAfter) {
      response.destroy()
      return
    }
    if (index === reply.endAfter) break
    if (index > 0) await reply.hold?.(index)
    if (response.destroyed) return
    // Flushed before the next piece, so that a cut later does not take this one back.
    await new Promise((resolve) =>
      response.write(`data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`, resolve),
    )
  }
  if (reply.endAfter === undefined && reply.events === undefined) response.write('data: [DONE]\n\n')
  await reply.holdEnd
  response.end()
}
