// Every function of the AI SDK that makes requests to a model, one row each: how it is called, and how many requests it
// makes. A row may return a function that reads its stream; the tests call it outside of the turn. The ways in which a
// model gets to these functions are in entry-points-ways.ts.

import { collect, type Major, type Sdk } from '../support/ai-sdk.js'
import type { Gateway } from '../support/gateway.js'

/** The models a row may use; absent ones the provider does not have. */
export interface Subject {
  chat: object
  /** Another chat model, to fall back to. */
  fallback: object
  embedding?: object
  image?: object
  speech?: object
  transcription?: object
  streamingSpeech?: object
  streamingTranscription?: object
  /** The provider that made them. */
  provider: object
}

/** One entry point. */
export interface Row {
  name: string
  needs: keyof Subject
  /** Where not all. */
  majors?: readonly Major[]
  requests: number
  run(sdk: Sdk, subject: Subject, gateway: Gateway): unknown
}

const prompt = 'Say hello.'

function sun(sdk: Sdk) {
  const inputSchema = sdk.jsonSchema({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] })
  return sdk.ai.tool({ description: 'The weather', inputSchema, execute: async () => 'sunny' })
}

function schema(sdk: Sdk) {
  const shape = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }
  return sdk.jsonSchema({ ...shape, additionalProperties: false })
}

/** Two tool calls, one step each, then words: three requests. */
function loop(gateway: Gateway) {
  gateway.chat = (_body, index) =>
    index < 2
      ? { toolCalls: [{ id: `c${index}`, name: 'weather', arguments: '{"city":"Oslo"}' }] }
      : { text: ['Sunny.'] }
}

function json(gateway: Gateway) {
  gateway.chat = { text: ['{"ok":', 'true}'] }
}

const text: Row[] = [
  {
    name: 'generateText',
    needs: 'chat',
    requests: 1,
    run: (sdk, { chat }) => sdk.ai.generateText({ model: chat, prompt }),
  },
  {
    name: 'streamText',
    needs: 'chat',
    requests: 1,
    run: (sdk, { chat }) => {
      const result = sdk.ai.streamText({ model: chat, prompt })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'generateText with a tool loop',
    needs: 'chat',
    requests: 3,
    run(sdk, { chat }, gateway) {
      loop(gateway)
      return sdk.ai.generateText({ model: chat, prompt, tools: { weather: sun(sdk) }, stopWhen: sdk.steps(5) })
    },
  },
  {
    name: 'streamText with a tool loop',
    needs: 'chat',
    requests: 3,
    run(sdk, { chat }, gateway) {
      loop(gateway)
      const tools = { weather: sun(sdk) }
      const result = sdk.ai.streamText({ model: chat, prompt, tools, stopWhen: sdk.steps(5) })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'generateText with structured output',
    needs: 'chat',
    requests: 1,
    run(sdk, { chat }, gateway) {
      json(gateway)
      const output = (sdk.ai.Output as unknown as Record<string, (o: object) => object>).object?.({
        schema: schema(sdk),
      })
      return sdk.ai.generateText({ model: chat, prompt, output })
    },
  },
  {
    name: 'generateObject',
    needs: 'chat',
    requests: 1,
    run(sdk, { chat }, gateway) {
      json(gateway)
      return sdk.ai.generateObject({ model: chat, prompt, schema: schema(sdk) })
    },
  },
  {
    name: 'streamObject',
    needs: 'chat',
    requests: 1,
    run(sdk, { chat }, gateway) {
      json(gateway)
      const result = sdk.ai.streamObject({ model: chat, prompt, schema: schema(sdk) })
      return () => collect(result.partialObjectStream)
    },
  },
  {
    name: 'ToolLoopAgent.generate',
    needs: 'chat',
    requests: 3,
    run(sdk, { chat }, gateway) {
      loop(gateway)
      return agent(sdk, chat).generate({ prompt })
    },
  },
  {
    name: 'ToolLoopAgent.stream',
    needs: 'chat',
    requests: 3,
    async run(sdk, { chat }, gateway) {
      loop(gateway)
      const result = await agent(sdk, chat).stream({ prompt })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'an agent as a stream for a user interface',
    needs: 'chat',
    requests: 3,
    async run(sdk, { chat }, gateway) {
      loop(gateway)
      const uiMessages = [{ id: 'u1', role: 'user', parts: [{ type: 'text', text: prompt }] }]
      const stream = await sdk.ai.createAgentUIStream({ agent: agent(sdk, chat), uiMessages })
      return () => collect(stream)
    },
  },
  {
    name: 'streamTextLowMemory',
    needs: 'chat',
    majors: [7],
    requests: 1,
    run(sdk, { chat }) {
      const result = sdk.ai.experimental_streamTextLowMemory?.({ model: chat, prompt })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'streamLanguageModelCall',
    needs: 'chat',
    majors: [7],
    requests: 1,
    async run(sdk, { chat }) {
      const result = await sdk.ai.experimental_streamLanguageModelCall?.({ model: chat, prompt })
      return () => collect(result.stream)
    },
  },
]

function agent(sdk: Sdk, model: object) {
  const ToolLoopAgent = sdk.ai.ToolLoopAgent as unknown as new (
    options: object,
  ) => { generate(o: object): Promise<object>; stream(o: object): Promise<{ textStream: AsyncIterable<string> }> }
  return new ToolLoopAgent({ model, tools: { weather: sun(sdk) }, stopWhen: sdk.steps(5) })
}

const kinds: Row[] = [
  {
    name: 'embed',
    needs: 'embedding',
    requests: 1,
    run: (sdk, { embedding }) => sdk.ai.embed({ model: embedding, value: 'a' }),
  },
  {
    name: 'embedMany',
    needs: 'embedding',
    requests: 1,
    run: (sdk, { embedding }) => sdk.ai.embedMany({ model: embedding, values: ['a', 'b'] }),
  },
  {
    name: 'generateImage',
    needs: 'image',
    requests: 1,
    run: (sdk, { image }) => sdk.generateImage({ model: image, prompt }),
  },
  {
    name: 'generateSpeech',
    needs: 'speech',
    requests: 1,
    run: (sdk, { speech }) => sdk.generateSpeech({ model: speech, text: 'hi' }),
  },
  {
    name: 'transcribe',
    needs: 'transcription',
    requests: 1,
    run: (sdk, { transcription }) => sdk.transcribe({ model: transcription, audio: silence() }),
  },
  {
    name: 'streamSpeech of what streamText writes',
    needs: 'streamingSpeech',
    majors: [7],
    requests: 2,
    run(sdk, { chat, streamingSpeech }) {
      const text = sdk.ai.streamText({ model: chat, prompt }).textStream
      const result = sdk.ai.experimental_streamSpeech?.({ model: streamingSpeech, text })
      return () => collect(result.audioStream)
    },
  },
  {
    name: 'streamTranscribe',
    needs: 'streamingTranscription',
    majors: [7],
    requests: 1,
    run(sdk, { streamingTranscription }) {
      const audio = ReadableStream.from([silence().subarray(44)])
      const inputAudioFormat = { type: 'audio/pcm', rate: 16_000 }
      const result = sdk.ai.experimental_streamTranscribe?.({ model: streamingTranscription, audio, inputAudioFormat })
      return () => result.text
    },
  },
]

/** A tenth of a second of silence as a WAV file. */
export function silence(): Uint8Array {
  const file = Buffer.alloc(44 + 3200)
  file.write('RIFF', 0)
  file.writeUInt32LE(36 + 3200, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(16_000, 24)
  file.writeUInt32LE(32_000, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36)
  file.writeUInt32LE(3200, 40)
  return file
}

/** The functions of the SDK, one row each. */
export const ENTRY_POINTS: readonly Row[] = [...text, ...kinds]
