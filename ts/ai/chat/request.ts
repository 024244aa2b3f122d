// One language call as the body of a chat-completions request. What the gateway cannot do becomes a warning of the call;
// what the caller got wrong is refused.

import type { LanguageCall, Tool, Warning } from '../spec.js'
import { wireMessages } from './messages.js'
import type { ChatOptions } from './options.js'

/** A request's body and what could not be put into it. */
export interface ChatRequest {
  body: Record<string, unknown>
  warnings: Warning[]
}

// These models answer 400 to sampling parameters; LiveKit's own client leaves them out by the same prefixes.
const REASONING_MODEL = /^(?:gpt-5|o1|o3|o4)/

/** The body of one request. */
export function chatRequest(modelId: string, call: LanguageCall, options: ChatOptions, stream: boolean): ChatRequest {
  const warnings: Warning[] = []
  const tools = wireTools(call.tools, warnings)
  const body: Record<string, unknown> = {
    ...options.body,
    model: modelId,
    messages: wireMessages(call.prompt),
    ...sampling(modelId, call, warnings),
    ...defined({
      max_completion_tokens: call.maxOutputTokens,
      stop: call.stopSequences?.length === 0 ? undefined : call.stopSequences,
      seed: call.seed,
      user: options.user,
      reasoning_effort: options.reasoningEffort ?? effort(call.reasoning, warnings),
      verbosity: options.verbosity,
      response_format: responseFormat(call, options),
      tools,
      tool_choice: tools === undefined ? undefined : toolChoice(call),
      parallel_tool_calls: tools === undefined ? undefined : options.parallelToolCalls,
    }),
  }
  if (stream) {
    body.stream = true
    body.stream_options = { include_usage: true }
  }
  return { body, warnings }
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function sampling(modelId: string, call: LanguageCall, warnings: Warning[]): Record<string, unknown> {
  if (call.topK !== undefined) warnings.push({ type: 'unsupported', feature: 'topK' })
  const given = { temperature: call.temperature, topP: call.topP }
  const penalties = { presencePenalty: call.presencePenalty, frequencyPenalty: call.frequencyPenalty }
  if (REASONING_MODEL.test(modelId.slice(modelId.indexOf('/') + 1))) {
    for (const [feature, value] of Object.entries({ ...given, ...penalties })) {
      if (value === undefined) continue
      warnings.push({ type: 'unsupported', feature, details: 'reasoning models take no sampling parameters' })
    }
    return {}
  }
  return defined({
    temperature: given.temperature,
    top_p: given.topP,
    presence_penalty: penalties.presencePenalty,
    frequency_penalty: penalties.frequencyPenalty,
  })
}

function effort(reasoning: string | undefined, warnings: Warning[]): string | undefined {
  if (reasoning === undefined || reasoning === 'provider-default') return undefined
  if (reasoning !== 'max') return reasoning
  warnings.push({ type: 'compatibility', feature: 'reasoning', details: 'max is sent as xhigh' })
  return 'xhigh'
}

function responseFormat(call: LanguageCall, options: ChatOptions): object | undefined {
  const format = call.responseFormat
  if (format?.type !== 'json') return undefined
  if (format.schema === undefined) return { type: 'json_object' }
  return {
    type: 'json_schema',
    json_schema: {
      name: format.name ?? 'response',
      ...(format.description === undefined ? {} : { description: format.description }),
      schema: format.schema,
      strict: options.strictJsonSchema ?? true,
    },
  }
}

function wireTools(tools: readonly Tool[] | undefined, warnings: Warning[]): object[] | undefined {
  const wire = (tools ?? []).flatMap((tool) => {
    if (tool.type === 'provider') {
      warnings.push({ type: 'unsupported', feature: `provider-defined tool ${tool.id}` })
      return []
    }
    const { name, description, inputSchema, strict } = tool
    return [{ type: 'function', function: { name, ...defined({ description, strict }), parameters: inputSchema } }]
  })
  return wire.length === 0 ? undefined : wire
}

function toolChoice({ toolChoice }: LanguageCall): unknown {
  if (toolChoice === undefined) return undefined
  return toolChoice.type === 'tool' ? { type: 'function', function: { name: toolChoice.toolName } } : toolChoice.type
}
