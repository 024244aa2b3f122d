// The shapes of the AI SDK's specification v3 that roomhook's models take and give, in our own words: as much as we use,
// assignable to the SDK's own types in its majors 6 and 7 (proved by the type tests of both fixtures). Types only, so
// that `ai` is neither imported nor needed to install roomhook.

/** A JSON value. */
export type Json = null | string | number | boolean | Json[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  [key: string]: Json | undefined
}

/** Options of a call by provider; ours is `livekit`. */
export type ProviderOptions = Record<string, { readonly [option: string]: unknown }>

/** Facts of an answer by provider; ours is `livekit`. */
export type ProviderMetadata = Record<string, JsonObject>

/** Something a call asked for that was not done. */
export type Warning =
  | { type: 'unsupported'; feature: string; details?: string }
  | { type: 'compatibility'; feature: string; details?: string }
  | { type: 'other'; message: string }

/** Headers of one call. */
export type CallHeaders = Record<string, string | undefined>

/** A part of a message that ai 6 and ai 7 put into a v3 prompt. */
export type PromptPart =
  | { type: 'text' | 'reasoning'; text: string; providerOptions?: ProviderOptions }
  | {
      type: 'file'
      filename?: string
      data: Uint8Array | string | URL
      mediaType: string
      providerOptions?: ProviderOptions
    }
  | {
      type: 'tool-call'
      toolCallId: string
      toolName: string
      input: unknown
      providerExecuted?: boolean
      providerOptions?: ProviderOptions
    }
  | {
      type: 'tool-result'
      toolCallId: string
      toolName: string
      output: ToolOutput
      providerOptions?: ProviderOptions
    }
  | { type: 'tool-approval-response'; approvalId: string; approved: boolean; reason?: string }

/** What a tool gave back. */
export type ToolOutput =
  | { type: 'text' | 'error-text'; value: string }
  | { type: 'json' | 'error-json'; value: unknown }
  | { type: 'execution-denied'; reason?: string }
  | { type: 'content'; value: { type: string; text?: string }[] }

/** One message of a prompt. */
export type PromptMessage =
  | { role: 'system'; content: string; providerOptions?: ProviderOptions }
  | { role: 'user' | 'assistant' | 'tool'; content: PromptPart[]; providerOptions?: ProviderOptions }

/** A tool of a call. */
export type Tool =
  | { type: 'function'; name: string; description?: string; inputSchema: object; strict?: boolean }
  | { type: 'provider'; id: string; name: string; args: Record<string, unknown> }

/** One call of a language model. */
export interface LanguageCall {
  prompt: PromptMessage[]
  maxOutputTokens?: number
  temperature?: number
  stopSequences?: string[]
  topP?: number
  topK?: number
  presencePenalty?: number
  frequencyPenalty?: number
  responseFormat?: { type: 'text' } | { type: 'json'; schema?: object; name?: string; description?: string }
  seed?: number
  tools?: Tool[]
  toolChoice?: { type: 'auto' | 'none' | 'required' } | { type: 'tool'; toolName: string }
  includeRawChunks?: boolean
  /** ai 7 only. */
  reasoning?: string
  abortSignal?: AbortSignal
  headers?: CallHeaders
  providerOptions?: ProviderOptions
}

/** Why a model stopped. */
export interface FinishReason {
  unified: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other'
  raw: string | undefined
}

/** Tokens. */
export interface Usage {
  inputTokens: {
    total: number | undefined
    noCache: number | undefined
    cacheRead: number | undefined
    cacheWrite: number | undefined
  }
  outputTokens: { total: number | undefined; text: number | undefined; reasoning: number | undefined }
  raw?: JsonObject
}

/** A part of an answer. */
export type Content =
  | { type: 'text' | 'reasoning'; text: string }
  | { type: 'tool-call'; toolCallId: string; toolName: string; input: string; providerMetadata?: ProviderMetadata }

/** Which response an answer came from. */
export interface ResponseFacts {
  id?: string
  timestamp?: Date
  modelId?: string
}

/** A whole answer. */
export interface LanguageResult {
  content: Content[]
  finishReason: FinishReason
  usage: Usage
  providerMetadata?: ProviderMetadata
  request: { body: unknown }
  response: ResponseFacts & { headers: Record<string, string>; body: unknown }
  warnings: Warning[]
}

/** A part of a streamed answer. */
export type StreamPart =
  | { type: 'stream-start'; warnings: Warning[] }
  | ({ type: 'response-metadata' } & ResponseFacts)
  | { type: 'text-start' | 'text-end' | 'reasoning-start' | 'reasoning-end' | 'tool-input-end'; id: string }
  | { type: 'text-delta' | 'reasoning-delta' | 'tool-input-delta'; id: string; delta: string }
  | { type: 'tool-input-start'; id: string; toolName: string }
  | { type: 'tool-call'; toolCallId: string; toolName: string; input: string; providerMetadata?: ProviderMetadata }
  | { type: 'raw'; rawValue: unknown }
  | { type: 'error'; error: unknown }
  | { type: 'finish'; finishReason: FinishReason; usage: Usage; providerMetadata?: ProviderMetadata }

/** A streamed answer. */
export interface LanguageStream {
  stream: ReadableStream<StreamPart>
  request: { body: unknown }
  response: { headers: Record<string, string> }
}

/** A language model of specification v3. */
export interface LanguageModel {
  readonly specificationVersion: 'v3'
  readonly provider: string
  readonly modelId: string
  readonly supportedUrls: Record<string, RegExp[]>
  doGenerate(options: LanguageCall): Promise<LanguageResult>
  doStream(options: LanguageCall): Promise<LanguageStream>
}
