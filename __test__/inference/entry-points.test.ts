// S2-17: every way into a model carries what the hooks added, once a turn, in both majors of the AI SDK. The rows are in
// entry-points-rows.ts and entry-points-ways.ts; what they are called with is here.

import { beforeAll, describe, expect, test } from 'vitest'
import { livekit, withHeaders } from '../../ts/ai.js'
import { createHeaderHooks, type InferenceJob, inferenceFetch } from '../../ts/inference.js'
import { loadSdk, MAJORS, type Sdk, vendors } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { listen } from '../support/suite-log.js'
import { ENTRY_POINTS, type Subject } from './entry-points-rows.js'
import { WAYS } from './entry-points-ways.js'

listen(() => {})

const job: InferenceJob = {
  id: 'AJ_entry',
  room: { sid: 'RM_entry' },
  liveRoom: { isConnected: true, localParticipant: { sid: 'PA_entry' } },
}

const subjects: Record<string, (sdk: Sdk, gateway: Gateway) => Subject> = {
  "withHeaders over a vendor's models": (sdk, gateway) => {
    const { openai, compatible } = vendors(sdk, gateway)
    const wrap = <M extends object>(model: M): M => withHeaders(model, { job })
    return {
      chat: wrap(compatible('gpt-5-mini')),
      fallback: wrap(compatible('gpt-4o')),
      embedding: wrap(openai.embedding('embedder')),
      image: wrap(compatible.imageModel('painter')),
      speech: wrap(openai.speech('voice')),
      transcription: wrap(openai.transcription('ear')),
      provider: wrap(compatible),
    }
  },
  'withHeaders over a whole provider': (sdk, gateway) => {
    const { openai, compatible } = vendors(sdk, gateway)
    const wrapped = withHeaders(openai, { job })
    const provider = withHeaders(compatible, { job })
    return {
      chat: provider('gpt-5-mini'),
      fallback: provider.chatModel('gpt-4o'),
      embedding: wrapped.embedding('embedder'),
      image: provider.imageModel('painter'),
      speech: wrapped.speech('voice'),
      transcription: wrapped.transcription('ear'),
      provider,
    }
  },
  "a vendor's provider over inferenceFetch": (sdk, gateway) => {
    // Retries are the SDK's: one layer.
    const fetch = inferenceFetch({ ...gateway.keys, baseURL: gateway.url, job, retry: false })
    const { openai, compatible } = vendors(sdk, gateway, { fetch })
    gateway.judge = true
    return {
      chat: compatible('gpt-5-mini'),
      fallback: compatible('gpt-4o'),
      embedding: openai.embedding('embedder'),
      image: compatible.imageModel('painter'),
      speech: openai.speech('voice'),
      transcription: openai.transcription('ear'),
      provider: compatible,
    }
  },
  'livekit()': (_sdk, gateway) => {
    const provider = livekit({ ...gateway.keys, baseURL: gateway.url, job })
    return {
      chat: provider('openai/gpt-5-mini'),
      fallback: provider.languageModel('openai/gpt-4o'),
      // The gateway's sockets are no model requests to hooks; a wrapped model carries the turn's headers there too.
      speech: withHeaders(provider.speech('cartesia/sonic-3')),
      streamingSpeech: withHeaders(provider.speech('cartesia/sonic-3')),
      transcription: withHeaders(provider.transcription('deepgram/nova-3')),
      streamingTranscription: withHeaders(provider.transcription('deepgram/nova-3')),
      provider,
    }
  },
}

/** What a subject does not have, and why no row of it is missing by mistake. */
const absent: Record<string, readonly (keyof Subject)[]> = {
  "withHeaders over a vendor's models": ['streamingSpeech', 'streamingTranscription'],
  'withHeaders over a whole provider': ['streamingSpeech', 'streamingTranscription'],
  "a vendor's provider over inferenceFetch": ['streamingSpeech', 'streamingTranscription'],
  'livekit()': ['embedding', 'image'],
}

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  describe.each(Object.entries(subjects))('%s', (name, make) => {
    const rows = [...ENTRY_POINTS, ...WAYS].filter(
      (row) => (row.majors?.includes(major) ?? true) && (absent[name]?.includes(row.needs) ?? false) === false,
    )
    test.each(rows)('S2-17: $name carries the hook’s header and the attribution', async (row) => {
      await using gateway = await startGateway()
      const subject = make(sdk, gateway)
      if (subject[row.needs] === undefined) throw new Error(`the subject has no ${row.needs}`)
      let runs = 0
      const hooks = createHeaderHooks({ shareSender: true })
      hooks.on('before_llm_request', (_event, { senderId }) => {
        runs++
        return { headers: { 'X-Sender-Id': senderId } }
      })
      // What reads a stream is called outside of the turn, as an agent does that plays it while the turn has ended.
      const read = await hooks.turn({ senderId: 'user-1' }, () => row.run(sdk, subject, gateway))
      if (typeof read === 'function') await read()
      expect(gateway.requests.length).toBe(row.requests)
      expect(runs).toBe(1)
      for (const request of gateway.requests) {
        expect(request.fields.filter(([name]) => name.toLowerCase() === 'x-sender-id')).toEqual([
          [expect.any(String), 'user-1'],
        ])
        expect(request.header('x-livekit-room-id')).toBe('RM_entry')
        expect(request.header('x-livekit-job-id')).toBe('AJ_entry')
        expect(request.header('x-livekit-agent-id')).toBe('PA_entry')
      }
    })
  })
})
