// S2-17 for the kinds of models that no server in these tests speaks for: the AI SDK's own mock models, wrapped, say which
// headers they were called with. The rows over a wire are in entry-points-rows.ts.

import { beforeAll, describe, expect, test } from 'vitest'
import { withHeaders } from '../../ts/ai.js'
import { createHeaderHooks } from '../../ts/inference.js'
import { loadSdk, MAJORS, type Major, type Sdk, type SdkFunction } from '../support/ai-sdk.js'
import { jobOf } from './ai-fakes.js'

interface Call {
  headers?: Record<string, string>
}

/** One kind of model: the mock's class, its methods that make requests, and what is called with it. */
interface Row {
  name: string
  majors: readonly Major[]
  mock: string
  methods: Record<string, unknown>
  run(ai: Record<string, SdkFunction>, model: object): unknown
}

const warnings: never[] = []
const rate = 16_000
const inputAudioFormat = { type: 'audio/pcm', rate }
const noAudio = () => new ReadableStream({ start: (controller) => controller.close() })
const stream = (...parts: object[]) => ({ stream: ReadableStream.from(parts) })
const audio = { type: 'audio', audio: new Uint8Array(2), audioFormat: inputAudioFormat }
const video = { type: 'base64', data: 'AAAA', mediaType: 'video/mp4' }
const response = { timestamp: new Date(0), modelId: 'm', headers: {} }
const usage = { inputTokens: {}, outputTokens: {} }

const rows: Row[] = [
  {
    name: 'rerank',
    majors: [6, 7],
    mock: 'MockRerankingModelV3',
    methods: { doRerank: { ranking: [{ index: 0, relevanceScore: 1 }] } },
    run: (ai, model) => ai.rerank?.({ model, query: 'q', documents: ['a', 'b'] }),
  },
  {
    name: 'generateVideo',
    majors: [7],
    mock: 'MockVideoModelV4',
    methods: { doGenerate: { videos: [video], warnings, response } },
    run: (ai, model) => ai.experimental_generateVideo?.({ model, prompt: 'a boat' }),
  },
  {
    name: 'startVideo',
    majors: [7],
    mock: 'MockVideoModelV4',
    methods: { doStart: { operation: 'op-1', warnings, response }, doStatus: {} },
    run: (ai, model) => ai.experimental_startVideo?.({ model, prompt: 'a boat' }),
  },
  {
    name: 'getVideoStatus',
    majors: [7],
    mock: 'MockVideoModelV4',
    methods: { doStart: {}, doStatus: { status: 'pending', response } },
    run: (ai, model) => ai.experimental_getVideoStatus?.(model, { operation: 'op-1' }),
  },
  {
    name: 'streamSpeech',
    majors: [7],
    mock: 'Experimental_MockStreamingSpeechModelV4',
    methods: { doStream: () => stream({ type: 'stream-start', warnings }, audio, { type: 'finish' }) },
    run: (ai, model) => ai.experimental_streamSpeech?.({ model, text: 'hi' }).usage,
  },
  {
    name: 'streamTranscribe',
    majors: [7],
    mock: 'MockTranscriptionModelV4',
    methods: { doStream: () => stream({ type: 'finish', text: 'hello', segments: [] }) },
    run: (ai, model) => ai.experimental_streamTranscribe?.({ model, audio: noAudio(), inputAudioFormat }).text,
  },
  {
    name: 'streamTranslate',
    majors: [7],
    mock: 'Experimental_MockSpeechTranslationModelV4',
    methods: { doStream: () => stream({ type: 'finish', sourceText: 'hei', outputText: 'hello' }) },
    run: (ai, model) =>
      ai.experimental_streamTranslate?.({ model, audio: noAudio(), inputAudioFormat, targetLanguage: 'en' })
        .translationText,
  },
  {
    name: 'decide',
    majors: [7],
    mock: 'Experimental_DecisionMockModelV4',
    methods: { doDecide: { answers: [{ type: 'boolean', id: 'ok', value: true }], usage, warnings } },
    run: (ai, model) =>
      ai.experimental_decide?.({ model, state: 's', questions: { ok: { type: 'boolean', instructions: 'Is it?' } } }),
  },
  {
    name: 'extract',
    majors: [7],
    mock: 'Experimental_ExtractionMockModelV4',
    methods: { doExtract: { fields: [{ id: 'city', value: 'Oslo' }], usage, warnings } },
    run: (ai, model) =>
      ai.experimental_extract?.({ model, state: 's', fields: { city: { type: 'text', instructions: 'a city' } } }),
  },
]

const hooks = createHeaderHooks({ shareSender: true })
hooks.on('before_llm_request', (_event, { senderId }) => ({ headers: { 'X-Sender-Id': senderId } }))

function expectHeaders(calls: readonly Call[]): void {
  expect(calls).toHaveLength(1)
  expect(calls[0]?.headers).toMatchObject({
    'x-sender-id': 'user-1',
    'x-livekit-room-id': 'RM_mock',
    'x-livekit-job-id': 'AJ_mock',
    'x-livekit-agent-id': 'PA_mock',
  })
}

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test.each(rows.filter(({ majors }) => majors.includes(major)))(
    'S2-17: $name carries the hook’s header and the attribution',
    async ({ mock, methods, run }) => {
      const calls: Call[] = []
      const options = Object.fromEntries(
        Object.entries(methods).map(([name, answer]) => [
          name,
          async (call: Call) => {
            calls.push(call)
            return typeof answer === 'function' ? answer() : answer
          },
        ]),
      )
      const Model = sdk.test[mock] as new (options: object) => object
      const model = withHeaders(new Model(options), { job: jobOf('mock') })
      expect(model).toBeInstanceOf(Model)
      const ai = sdk.ai as Record<string, SdkFunction>
      // What a mock answers is not the point, and the SDK may find it wanting: the call has been made by then.
      await Promise.resolve(hooks.turn({ senderId: 'user-1' }, () => run(ai, model))).catch((error) => {
        if (calls.length === 0) throw error
      })
      expectHeaders(calls)
    },
  )
})

test.each(['startBatch', 'listBatches'])('S2-17: %s of a wrapped provider carries both (ai 7)', async (name) => {
  const sdk = await loadSdk(7)
  const calls: Call[] = []
  const call = async (options: Call) => {
    calls.push(options)
    return { batchId: 'b-1', warnings, batches: [], status: 'pending' }
  }
  // A batch has no model id of its own.
  const batch = { specificationVersion: 'v4', provider: 'vendor', supportedUrls: {}, doStartBatch: call }
  const api = { ...batch, doGetBatchStatus: call, doGetBatchResults: call, doListBatches: call }
  const provider = withHeaders(
    { languageModel: () => undefined, experimental_batch: () => api },
    { job: jobOf('mock') },
  )
  const requests = [{ id: 'r-1', type: 'text', model: 'm', prompt: 'hi' }]
  const run = sdk.ai[`experimental_${name}`]
  await hooks.turn({ senderId: 'user-1' }, () => run?.({ provider, requests }))
  expectHeaders(calls)
})
