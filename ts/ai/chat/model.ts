// A language model behind the gateway's chat completions, as specification v3: one request per attempt, no retry of its
// own (the AI SDK has the call's only retry layer), a stream that is read as fast as it is consumed.

import { RoomhookError } from '../../base/errors.js'
import { checkText } from '../../base/options.js'
import type { InferenceResponse } from '../../inference/fetch.js'
import { callChoices, checkCall } from '../call-options.js'
import type { GatewayClient } from '../client.js'
import { brokenAnswer, gatewayPartError, gatewayRequestError, isAbort, saysFailure } from '../gateway-error.js'
import { markLiveKitModel } from '../own-models.js'
import type {
  Content,
  LanguageCall,
  LanguageModel,
  LanguageResult,
  LanguageStream,
  ProviderMetadata,
  StreamPart,
} from '../spec.js'
import { EventReader } from '../sse.js'
import { type ChatOptions, chatOptions } from './options.js'
import { chatRequest } from './request.js'
import { finishReason, firstChoice, givenReason, responseFacts, usage, type WireCompletion, words } from './response.js'
import { ChatParts } from './stream.js'
import { ToolCalls } from './tool-calls.js'

const PATH = '/chat/completions'

/** A chat model of LiveKit Inference. */
export function chatModel(modelId: string, client: GatewayClient): LanguageModel {
  checkText(modelId, 'modelId')
  const post = (call: LanguageCall, options: ChatOptions, body: object, streaming: boolean) =>
    client.post(PATH, body, { headers: call.headers, signal: call.abortSignal, ...callChoices(options) }, streaming)
  return markLiveKitModel({
    specificationVersion: 'v3',
    provider: 'livekit.chat',
    modelId,
    // None: the AI SDK downloads what a URL points at, and the model gets it inline, whichever vendor serves it.
    supportedUrls: {},

    async doGenerate(call: LanguageCall): Promise<LanguageResult> {
      const options = chatOptions(checkCall(call, 'prompt', 'an array of messages', Array.isArray).providerOptions)
      const { body, warnings } = chatRequest(modelId, call, options, false)
      const response = await post(call, options, body, false)
      return { ...(await whole(response)), request: { body }, warnings }
    },

    async doStream(call: LanguageCall): Promise<LanguageStream> {
      const options = chatOptions(checkCall(call, 'prompt', 'an array of messages', Array.isArray).providerOptions)
      const { body, warnings } = chatRequest(modelId, call, options, true)
      const response = await post(call, options, body, true)
      if (response.body === null) throw brokenAnswer('expected a stream, got an empty answer; ask again')
      const metadata = quotaMetadata(response)
      const head: StreamPart[] = [{ type: 'stream-start', warnings }]
      const put = (part: StreamPart) => head.push(part.type === 'finish' ? { ...part, ...metadata } : part)
      const parts = new ChatParts(put, PATH, response.headers)
      const stream = chatStream(response.body, head, call, parts)
      return { stream, request: { body }, response: { headers: Object.fromEntries(response.headers) } }
    },
  })
}

async function whole(response: InferenceResponse): Promise<Omit<LanguageResult, 'request' | 'warnings'>> {
  const completion = await completionOf(response)
  const choice = firstChoice(completion)
  const message = choice?.message
  if (typeof message !== 'object' || message === null) {
    throw brokenAnswer('expected an answer with a choice, got none; ask again')
  }
  const { said, refused } = words(message)
  const content: Content[] = [...said]
  const tools = new ToolCalls((part) => {
    if (part.type === 'tool-call') content.push(part)
  })
  // Each call is whole, whatever index it claims.
  const calls = Array.isArray(message.tool_calls) ? (message.tool_calls as unknown[]) : []
  for (const [index, call] of calls.entries()) tools.add(call && Object.assign({}, call, { index }))
  if (!tools.end(true)) throw brokenAnswer('the gateway sent a tool call without a name; ask again')
  return {
    content,
    finishReason: finishReason(givenReason(choice?.finish_reason), tools.size > 0, refused),
    usage: usage(completion.usage),
    ...quotaMetadata(response),
    response: { ...responseFacts(completion), headers: Object.fromEntries(response.headers), body: completion },
  }
}

async function completionOf(response: Response): Promise<WireCompletion> {
  const text = await response.text().catch((cause: unknown) => {
    throw brokenBody(cause)
  })
  let value: WireCompletion | null = null
  let cause: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    cause = error
  }
  if (typeof value !== 'object' || value === null) {
    throw brokenAnswer('expected a JSON object as the answer; ask again', cause)
  }
  if (saysFailure(value)) throw gatewayPartError(PATH, text, response.headers)
  return value
}

/** What the gateway said about quotas, for `providerMetadata.livekit.quota`. */
function quotaMetadata({ quota }: InferenceResponse): { providerMetadata?: ProviderMetadata } {
  return quota === undefined ? {} : { providerMetadata: { livekit: { quota: { ...quota } } } }
}

/** The parts of a streamed answer. Reading pulls the body; cancelling it closes the request. */
function chatStream(
  body: ReadableStream<Uint8Array>,
  queue: StreamPart[],
  call: LanguageCall,
  parts: ChatParts,
): ReadableStream<StreamPart> {
  const events = new EventReader(body)
  let ended = false
  const advance = async () => {
    try {
      const event = await events.next()
      ended = event === undefined || parts.event(event, call.includeRawChunks === true)
      if (ended) events.drain()
    } catch (cause) {
      ended = true
      void events.cancel(cause)
      if (call.abortSignal?.aborted === true) throw cause
      if (!parts.complete) parts.fail(brokenBody(cause))
    }
    if (ended) parts.finish()
  }
  return new ReadableStream<StreamPart>(
    {
      async pull(controller) {
        while (queue.length === 0 && !ended) await advance()
        for (const part of queue.splice(0)) controller.enqueue(part)
        if (ended) controller.close()
      },
      cancel: (reason) => events.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

function brokenBody(cause: unknown): unknown {
  if (cause instanceof RoomhookError || isAbort(cause)) return gatewayRequestError(PATH, cause)
  return brokenAnswer('the connection broke in the middle of the answer; ask again', cause)
}
