// The chunks of a streamed answer as v3 parts. **Every part that starts ends, in order, and one `finish` comes last**,
// also when the stream breaks: then an `error` part says so and the reason to finish is `error`.

import { brokenAnswer, gatewayPartError, saysFailure } from '../gateway-error.js'
import type { StreamPart, Usage } from '../spec.js'
import {
  finishReason,
  firstChoice,
  givenReason,
  responseFacts,
  usage,
  type WireCompletion,
  type Words,
  words,
} from './response.js'
import { ToolCalls } from './tool-calls.js'

type Emit = (part: StreamPart) => void

/** Turns the chunks of one answer into parts. */
export class ChatParts {
  readonly #emit: Emit
  readonly #url: string
  readonly #headers: Headers
  readonly #tools: ToolCalls
  #open: { type: Words['type']; id: string } | undefined
  #blocks = 0
  #announced = false
  #failed = false
  #refused = false
  #reason: string | undefined
  #usage: Usage = usage(undefined)

  /** `url` and `headers` of the response are for its errors. */
  constructor(emit: Emit, url: string, headers: Headers) {
    this.#emit = emit
    this.#url = url
    this.#headers = headers
    this.#tools = new ToolCalls((part) => {
      if (part.type === 'tool-input-start') this.#close()
      emit(part)
    })
  }

  /** Takes one event's data; true if it was the last. */
  event(data: string, raw: boolean): boolean {
    if (data.trim() === '[DONE]') return true
    let chunk: WireCompletion | null
    try {
      chunk = JSON.parse(data) as WireCompletion | null
    } catch (cause) {
      this.fail(brokenAnswer('the gateway sent an event that is not JSON; ask again', cause))
      return true
    }
    if (raw) this.#emit({ type: 'raw', rawValue: chunk })
    if (typeof chunk !== 'object' || chunk === null) return false
    if (saysFailure(chunk)) {
      this.fail(gatewayPartError(this.#url, data, this.#headers))
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
      this.fail(brokenAnswer('the stream ended in the middle of the answer; ask again'))
    } else if (!this.#failed && this.#reason === 'error') {
      this.fail(brokenAnswer('the model stopped because of an error; ask again'))
    }
    this.#close()
    if (!this.#tools.end(!this.#failed) && !this.#failed) {
      this.fail(brokenAnswer('the gateway sent a tool call without a name; ask again'))
    }
    this.#emit({
      type: 'finish',
      finishReason: this.#failed
        ? { unified: 'error', raw: this.#reason }
        : finishReason(this.#reason, this.#tools.size > 0, this.#refused),
      usage: this.#usage,
    })
  }

  #chunk(chunk: WireCompletion): void {
    const facts = responseFacts(chunk)
    // Some vendors begin with an event that names nothing.
    if (!this.#announced && Object.keys(facts).length > 0) {
      this.#announced = true
      this.#emit({ type: 'response-metadata', ...facts })
    }
    if (chunk.usage !== null && chunk.usage !== undefined) this.#usage = usage(chunk.usage)
    const choice = firstChoice(chunk)
    if (choice === undefined) return
    const { delta } = choice
    if (typeof delta === 'object' && delta !== null) {
      const { said, refused } = words(delta)
      for (const part of said) this.#say(part)
      this.#refused ||= refused
      if (Array.isArray(delta.tool_calls)) for (const call of delta.tool_calls as unknown[]) this.#tools.add(call)
    }
    this.#reason = givenReason(choice.finish_reason) ?? this.#reason
  }

  #say({ type, text }: Words): void {
    if (this.#open?.type !== type) {
      this.#close()
      this.#open = { type, id: `${type}-${this.#blocks++}` }
      this.#emit({ type: `${type}-start`, id: this.#open.id })
    }
    this.#emit({ type: `${type}-delta`, id: this.#open.id, delta: text })
  }

  #close(): void {
    if (this.#open !== undefined) this.#emit({ type: `${this.#open.type}-end`, id: this.#open.id })
    this.#open = undefined
  }
}
