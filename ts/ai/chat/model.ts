// A language model behind the gateway's chat completions, as specification v3: one request per attempt, no retry of its
// own (the AI SDK has the call's only retry layer), a stream that is read as fast as it is consumed.

import { ConnectionError, RoomhookError } from '../../base/errors.js'
import { checkText } from '../../base/options.js'
import type { InferenceResponse } from '../../inference/fetch.js'
import { callChoices, checkCall } from '../call-options.js'
import type { GatewayClient } from '../client.js'
import { type GatewayCallError, gatewayAnswerError, gatewayStreamError, isAbort } from '../gateway-error.js'
import { markLiveKitModel } from '../own-models.js'
import type {
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
import { answerContent, finishReason, responseFacts, usage, type WireCompletion } from './response.js'
import { ChatParts } from './stream.js'

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
      return { ...whole(await completionOf(response), response), request: { body }, warnings }
    },

    async doStream(call: LanguageCall): Promise<LanguageStream> {
      const options = chatOptions(checkCall(call, 'prompt', 'an array of messages', Array.isArray).providerOptions)
      const { body, warnings } = chatRequest(modelId, call, options, true)
      const response = await post(call, options, body, true)
      if (response.body === null) throw gatewayAnswerError('expected a stream, got an empty answer', undefined)
      const metadata = quotaMetadata(response)
      const head: StreamPart[] = [{ type: 'stream-start', warnings }]
      const stream = chatStream(response.body, head, call, (part) =>
        part.type === 'finish' ? { ...part, ...metadata } : part,
      )
      return { stream, request: { body }, response: { headers: Object.fromEntries(response.headers) } }
    },
  })
}

function whole(completion: WireCompletion, response: InferenceResponse): Omit<LanguageResult, 'request' | 'warnings'> {
  if (completion.error !== null && completion.error !== undefined) throw gatewayStreamError(completion.error)
  const answer = completion.choices?.[0]
  if (answer?.message === undefined) {
    throw gatewayAnswerError('expected an answer with a choice, got none; ask again', undefined)
  }
  const content = answerContent(answer.message)
  const calledTools = content.some((part) => part.type === 'tool-call')
  return {
    content,
    finishReason: finishReason(answer.finish_reason, calledTools),
    usage: usage(completion.usage),
    ...quotaMetadata(response),
    response: { ...responseFacts(completion), headers: Object.fromEntries(response.headers), body: completion },
  }
}

async function completionOf(response: Response): Promise<WireCompletion> {
  const value: unknown = await response.json().catch((cause: unknown) => {
    throw isAbort(cause) ? cause : brokenAnswer(cause)
  })
  if (typeof value !== 'object' || value === null) throw brokenAnswer(undefined)
  return value as WireCompletion
}

function brokenAnswer(cause: unknown): GatewayCallError {
  return gatewayAnswerError('expected a JSON object as the answer; ask again', cause)
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
  last: (part: StreamPart) => StreamPart,
): ReadableStream<StreamPart> {
  const events = new EventReader(body)
  const parts = new ChatParts((part) => queue.push(last(part)))
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
      if (!parts.complete) parts.fail(cause instanceof RoomhookError ? cause : brokenStream(cause))
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

function brokenStream(cause: unknown): ConnectionError {
  const message = 'the connection broke in the middle of the answer; ask again'
  return new ConnectionError('TRANSPORT_FAILED', message, { cause, retryable: true })
}
