// The chunks of a streamed answer as v3 parts. **Every part that starts ends, in order, and one `finish` comes last**,
// also when the stream breaks: then an `error` part says so and the reason to finish is `error`.

import { ConnectionError } from '../../base/errors.js'
import { gatewayStreamError } from '../gateway-error.js'
import type { StreamPart, Usage } from '../spec.js'
import { finishReason, responseFacts, toolMetadata, usage, type WireCompletion, type WireToolCall } from './response.js'

type Emit = (part: StreamPart) => void

interface OpenTool {
  id: string
  name: string
  input: string
  extra: WireToolCall['extra_content']
}

/** Turns the chunks of one answer into parts. */
export class ChatParts {
  readonly #emit: Emit
  readonly #tools = new Map<number, OpenTool>()
  #open: { kind: 'text' | 'reasoning'; id: string } | undefined
  #blocks = 0
  #announced = false
  #failed = false
  #reason: string | undefined
  #usage: Usage = usage(undefined)

  constructor(emit: Emit) {
    this.#emit = emit
  }

  /** Takes one event's data; true if it was the last. */
  event(data: string, raw: boolean): boolean {
    if (data.trim() === '[DONE]') return true
    let chunk: WireCompletion
    try {
      chunk = JSON.parse(data) as WireCompletion
    } catch (cause) {
      this.fail(new ConnectionError('TRANSPORT_FAILED', 'the gateway sent an event that is not JSON', { cause }))
      return true
    }
    if (raw) this.#emit({ type: 'raw', rawValue: chunk })
    if (chunk.error !== null && chunk.error !== undefined) {
      this.fail(gatewayStreamError(chunk.error))
      return true
    }
    this.#chunk(chunk)
    return false
  }

  /** Ends the answer because of an error. */
  fail(error: unknown): void {
    this.#failed = true
    this.#emit({ type: 'error', error })
  }

  /** Whether the model has said why it stopped: what comes after that is not part of the answer. */
  get complete(): boolean {
    return this.#reason !== undefined
  }

  /** Ends what is open, and the answer. */
  finish(): void {
    if (!this.#failed && this.#reason === undefined) {
      this.fail(
        new ConnectionError('TRANSPORT_FAILED', 'the stream ended in the middle of the answer; ask again', {
          retryable: true,
        }),
      )
    }
    this.#close()
    for (const tool of this.#tools.values()) this.#endTool(tool)
    this.#emit({
      type: 'finish',
      finishReason: this.#failed
        ? { unified: 'error', raw: this.#reason }
        : finishReason(this.#reason, this.#tools.size > 0),
      usage: this.#usage,
    })
  }

  #chunk(chunk: WireCompletion): void {
    if (!this.#announced) {
      this.#announced = true
      this.#emit({ type: 'response-metadata', ...responseFacts(chunk) })
    }
    if (chunk.usage !== null && chunk.usage !== undefined) this.#usage = usage(chunk.usage)
    const choice = chunk.choices?.[0]
    if (choice === undefined) return
    const { delta } = choice
    if (delta !== undefined) {
      this.#words('reasoning', delta.reasoning_content ?? delta.reasoning)
      this.#words('text', delta.content)
      for (const call of delta.tool_calls ?? []) this.#tool(call)
    }
    if (typeof choice.finish_reason === 'string') this.#reason = choice.finish_reason
  }

  #words(kind: 'text' | 'reasoning', delta: string | null | undefined): void {
    if (typeof delta !== 'string' || delta === '') return
    if (this.#open?.kind !== kind) {
      this.#close()
      this.#open = { kind, id: `${kind}-${this.#blocks++}` }
      this.#emit({ type: `${kind}-start`, id: this.#open.id })
    }
    this.#emit({ type: `${kind}-delta`, id: this.#open.id, delta })
  }

  #close(): void {
    if (this.#open !== undefined) this.#emit({ type: `${this.#open.kind}-end`, id: this.#open.id })
    this.#open = undefined
  }

  #tool(call: WireToolCall): void {
    // Some vendors leave the index out when there is one call, or when each call comes whole with an id of its own.
    const index = call.index ?? (typeof call.id === 'string' ? this.#tools.size : this.#tools.size - 1)
    let tool = this.#tools.get(index)
    if (tool === undefined) {
      this.#close()
      tool = { id: call.id ?? `call_${index}`, name: call.function?.name ?? '', input: '', extra: undefined }
      this.#tools.set(index, tool)
      this.#emit({ type: 'tool-input-start', id: tool.id, toolName: tool.name })
    }
    tool.extra = call.extra_content ?? tool.extra
    const delta = call.function?.arguments
    if (typeof delta !== 'string' || delta === '') return
    tool.input += delta
    this.#emit({ type: 'tool-input-delta', id: tool.id, delta })
  }

  #endTool(tool: OpenTool): void {
    this.#emit({ type: 'tool-input-end', id: tool.id })
    // A call whose arguments were cut off must not run.
    if (this.#failed) return
    this.#emit({
      type: 'tool-call',
      toolCallId: tool.id,
      toolName: tool.name,
      input: tool.input === '' ? '{}' : tool.input,
      ...toolMetadata(tool.extra),
    })
  }
}
