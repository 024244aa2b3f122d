// Sessions of speech that do not go as planned: a gateway that never answers, a microphone that stays open for hours, input
// that somebody else reads already.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { IDLE_MS } from '../../ts/ai/speech/session.js'
import { createLiveKit } from '../../ts/ai.js'
import { ConfigError } from '../../ts/base/errors.js'
import { loadSdk, MAJORS } from '../support/ai-sdk.js'
import { type Gateway, type RecordedRequest, startGateway } from '../support/gateway.js'
import { tone } from '../support/gateway-speech.js'
import { wav } from '../support/gateway-vendor.js'

const PCM = { type: 'audio/pcm', rate: 16_000 }

function providerFor(gateway: Gateway) {
  return createLiveKit({ ...gateway.keys, baseURL: gateway.url })
}

afterEach(() => vi.useRealTimers())

/** Resolves once a session was sent a message of a type. */
async function sent(request: RecordedRequest, type: string): Promise<void> {
  while (request.session?.messages.some((message) => message.type === type) !== true) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function openMicrophone() {
  let microphone: ReadableStreamDefaultController<Uint8Array> | undefined
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    microphone = controller
  }
  const audio = new ReadableStream<Uint8Array>({ start })
  return { audio, microphone: microphone as unknown as ReadableStreamDefaultController<Uint8Array> }
}

describe('silence', () => {
  test.each(MAJORS)(
    'F-A8: a gateway that takes the audio and never says anything is a timeout, asked once (ai %i)',
    async (major) => {
      const sdk = await loadSdk(major)
      await using gateway = await startGateway()
      gateway.stt = { transcript: '', mute: true }
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
      const model = providerFor(gateway).transcription('deepgram/nova-3')
      const heard = sdk.transcribe({ model, audio: wav(tone(10, 16_000), 16_000) })
      const failure = expect(heard).rejects.toMatchObject({
        name: 'ConnectionError',
        code: 'TIMED_OUT',
        retryable: false,
        isRetryable: false,
      })
      const request = await gateway.request(0)
      await sent(request, 'session.finalize')
      await vi.advanceTimersByTimeAsync(IDLE_MS)
      await failure
      await request.gone
      expect(gateway.requests).toHaveLength(1)
    },
  )

  test('F-A8: messages that say nothing of the audio do not lengthen the wait', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: '', mute: true, interim: ['maybe'] }
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const model = providerFor(gateway).transcription('deepgram/nova-3')
    const heard = model.doGenerate({ audio: wav(tone(10, 16_000), 16_000), mediaType: 'audio/wav' })
    const failure = expect(heard).rejects.toMatchObject({ code: 'TIMED_OUT' })
    const request = await gateway.request(0)
    await sent(request, 'session.finalize')
    for (let waitedMs = 0; waitedMs < IDLE_MS; waitedMs += IDLE_MS / 5) {
      request.session?.say?.({ type: 'keepalive' })
      await new Promise((resolve) => setImmediate(resolve))
      await vi.advanceTimersByTimeAsync(IDLE_MS / 5)
    }
    await failure
  })

  test('what was heard before the input ended is the result, also without a last word', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: '', mute: true }
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const { audio, microphone } = openMicrophone()
    const { stream } = await providerFor(gateway).transcription('d/n').doStream({ audio, inputAudioFormat: PCM })
    const reader = stream.getReader()
    await reader.read()
    const final = reader.read()
    const request = await gateway.request(0)
    await sent(request, 'session.create')
    request.session?.say?.({ type: 'final_transcript', transcript: 'good morning', start: 0, duration: 1 })
    expect((await final).value).toMatchObject({ type: 'transcript-final', text: 'good morning' })
    const end = reader.read()
    microphone.close()
    await sent(request, 'session.finalize')
    await vi.advanceTimersByTimeAsync(IDLE_MS)
    expect((await end).value).toMatchObject({ type: 'finish', text: 'good morning' })
  })
})

describe('a microphone that stays open', () => {
  test('F-A11: what was heard is not kept until the end', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    await using gateway = await startGateway()
    const rounds = 500
    gateway.stt = { transcript: 'done', interim: Array.from({ length: rounds }, (_, at) => `heard ${at}`) }
    const { audio, microphone } = openMicrophone()
    const model = providerFor(gateway).transcription('deepgram/nova-3')
    const { stream } = await model.doStream({ audio, inputAudioFormat: PCM })
    const reader = stream.getReader()
    await reader.read()
    const parts: WeakRef<object>[] = []
    for (let round = 0; round < rounds; round++) {
      microphone.enqueue(tone(1, 16_000))
      const { value } = await reader.read()
      parts.push(new WeakRef(value as object))
    }
    // A reference that was looked at lives until the turn is over.
    await new Promise((resolve) => setImmediate(resolve))
    gc()
    expect(parts.filter((part) => part.deref() !== undefined).length).toBeLessThan(10)
    await reader.cancel()
  })
})

describe('input that cannot be read', () => {
  test('F-A12: a stream that is locked is refused before anything opens', async () => {
    await using gateway = await startGateway()
    const provider = providerFor(gateway)
    const audio = new ReadableStream<Uint8Array>()
    audio.getReader()
    const text = new ReadableStream<{ type: 'text'; text: string }>()
    text.getReader()
    const refused = [
      provider.transcription('d/n').doStream({ audio, inputAudioFormat: PCM }),
      provider.speech('c/s').doStream({ text }),
    ]
    for (const call of refused) {
      await expect(call).rejects.toBeInstanceOf(ConfigError)
      await expect(call).rejects.toThrow(/call\.(?:audio|text) must be a ReadableStream that is not locked/)
    }
    expect([gateway.requests.length, gateway.accepted]).toEqual([0, 0])
  })

  test('F-A12: input whose session does not open is given back', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 403, times: 2 })
    const given: unknown[] = []
    const keep = (reason: unknown) => {
      given.push(reason)
    }
    const audio = new ReadableStream<Uint8Array>({ cancel: (reason) => keep(reason) })
    const text = new ReadableStream<{ type: 'text'; text: string }>({ cancel: (reason) => keep(reason) })
    const provider = providerFor(gateway)
    await expect(provider.transcription('d/n').doStream({ audio, inputAudioFormat: PCM })).rejects.toThrow(/403/)
    await expect(provider.speech('c/s').doStream({ text })).rejects.toThrow(/403/)
    expect(given).toMatchObject([{ details: { statusCode: 403 } }, { details: { statusCode: 403 } }])
  })

  test('input that fails ends the session with its own error', async () => {
    await using gateway = await startGateway()
    const broken = new Error('the microphone was unplugged')
    const audio = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(broken) })
    const { stream } = await providerFor(gateway).transcription('d/n').doStream({ audio, inputAudioFormat: PCM })
    const reader = stream.getReader()
    await reader.read()
    await expect(reader.read()).rejects.toBe(broken)
    await (await gateway.request(0)).gone
  })

  test('input that is no audio is a clear error', async () => {
    await using gateway = await startGateway()
    const audio = ReadableStream.from([5]) as unknown as ReadableStream<Uint8Array>
    const { stream } = await providerFor(gateway).transcription('d/n').doStream({ audio, inputAudioFormat: PCM })
    const reader = stream.getReader()
    await reader.read()
    await expect(reader.read()).rejects.toThrow(/call\.audio must be a stream of bytes or base64, got the number 5/)
  })
})

test('createLiveKit is livekit({ … }) by the name that other providers have', async () => {
  await using gateway = await startGateway()
  const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'hi' }] }]
  expect((await providerFor(gateway)('m').doGenerate({ prompt })).content).toEqual([
    { type: 'text', text: 'Hello there.' },
  ])
  expect(() => createLiveKit({ apikey: 'k' } as never)).toThrow(/did you mean apiKey/)
  expect(() => createLiveKit(null as never)).toThrow(ConfigError)
})
