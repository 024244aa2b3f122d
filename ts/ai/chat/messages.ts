// A v3 prompt as chat-completions messages. What the wire has no place for is refused with the part's kind: a file of a
// type the gateway cannot take must not vanish from what the model is told.

import { ConfigError } from '../../base/errors.js'
import type { PromptMessage, PromptPart, ToolOutput } from '../spec.js'

/** A message on the wire. */
export type WireMessage = { role: string; content?: unknown; [field: string]: unknown }

type FilePart = Extract<PromptPart, { type: 'file' }>

/** The messages of a prompt. */
export function wireMessages(prompt: readonly PromptMessage[]): WireMessage[] {
  return prompt.flatMap(wireMessage)
}

function wireMessage(message: PromptMessage): WireMessage | WireMessage[] {
  if (message.role === 'system') return { role: 'system', content: message.content }
  if (message.role === 'user') return { role: 'user', content: userContent(message.content) }
  if (message.role === 'assistant') return assistantMessage(message.content)
  return message.content.flatMap(toolMessage)
}

function userContent(parts: readonly PromptPart[]): unknown {
  const [only] = parts
  if (parts.length === 1 && only?.type === 'text') return only.text
  return parts.map((part) => {
    if (part.type === 'text') return { type: 'text', text: part.text }
    if (part.type === 'file') return fileContent(part)
    throw unsupported(`a ${part.type} part in a user message`)
  })
}

const AUDIO_FORMATS: Record<string, string> = {
  'audio/wav': 'wav',
  'audio/x-wav': 'wav',
  'audio/mp3': 'mp3',
  'audio/mpeg': 'mp3',
}

function fileContent(part: FilePart): object {
  const { mediaType } = part
  // ai 7 hands text files to v3 models as they are, as an object of its own.
  const data = part.data as FilePart['data'] | { type?: string; text?: string }
  if (typeof data === 'object' && 'type' in data && data.type === 'text' && typeof data.text === 'string') {
    return { type: 'text', text: data.text }
  }
  const isUrl = data instanceof URL
  if (!isUrl && typeof data !== 'string' && !(data instanceof Uint8Array)) {
    throw unsupported('a file that is only a reference to an upload')
  }
  if (mediaType.startsWith('image/')) {
    const type = mediaType === 'image/*' ? 'image/jpeg' : mediaType
    return { type: 'image_url', image_url: { url: isUrl ? data.href : `data:${type};base64,${base64(data)}` } }
  }
  if (isUrl) throw unsupported(`a URL of type ${mediaType}`)
  const format = AUDIO_FORMATS[mediaType]
  if (format !== undefined) return { type: 'input_audio', input_audio: { data: base64(data), format } }
  if (mediaType === 'application/pdf') {
    const file_data = `data:application/pdf;base64,${base64(data)}`
    return { type: 'file', file: { filename: part.filename ?? 'document.pdf', file_data } }
  }
  if (mediaType.startsWith('text/')) {
    return { type: 'text', text: typeof data === 'string' ? decode(data) : Buffer.from(data).toString() }
  }
  throw unsupported(`a file of type ${mediaType}`)
}

function base64(data: Uint8Array | string): string {
  if (typeof data === 'string') return data
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
}

function decode(data: string): string {
  return Buffer.from(data, 'base64').toString()
}

// Reasoning is left out: chat completions have no field that all vendors take back.
function assistantMessage(parts: readonly PromptPart[]): WireMessage {
  let text = ''
  const calls: object[] = []
  for (const part of parts) {
    if (part.type === 'text') text += part.text
    else if (part.type === 'tool-call') {
      const extra = part.providerOptions?.livekit?.extraContent
      calls.push({
        id: part.toolCallId,
        type: 'function',
        function: { name: part.toolName, arguments: JSON.stringify(part.input ?? {}) },
        ...(extra === undefined ? {} : { extra_content: extra }),
      })
    } else if (part.type === 'file') throw unsupported('a file in an assistant message')
  }
  if (calls.length === 0) return { role: 'assistant', content: text }
  return { role: 'assistant', content: text === '' ? null : text, tool_calls: calls }
}

function toolMessage(part: PromptPart): WireMessage[] {
  if (part.type !== 'tool-result') return []
  return [{ role: 'tool', tool_call_id: part.toolCallId, content: toolContent(part.output) }]
}

function toolContent(output: ToolOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'execution-denied':
      return output.reason ?? 'Tool execution denied.'
    case 'json':
    case 'error-json':
    case 'content':
      return JSON.stringify(output.value)
  }
}

function unsupported(what: string): ConfigError {
  return new ConfigError(
    'CONFIG_INVALID',
    `the prompt contains ${what}, which the inference gateway cannot take; expected text, images, wav or mp3 audio, or PDF`,
  )
}
