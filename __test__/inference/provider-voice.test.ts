// `livekit.transcription()` and `livekit.speech()` under both majors of the AI SDK: files over the local gateway's
// sockets, what is on the wire, and how a session ends.

import { beforeAll, describe, expect, test } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { ConfigError } from '../../ts/base/errors.js'
import { loadSdk, MAJORS, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { tone } from '../support/gateway-speech.js'
import { wav } from '../support/gateway-vendor.js'
import { listen } from '../support/suite-log.js'
import { jobOf } from './ai-fakes.js'

listen(() => {})

const settle = { livekit: { settleMs: 1 } }

function providerFor(gateway: Gateway, settings: object = {}) {
  return livekit({ ...gateway.keys, baseURL: gateway.url, ...settings })
}

function transcriber(gateway: Gateway) {
  return providerFor(gateway).transcription('deepgram/nova-3')
}

describe.each(MAJORS)('with ai %i', (major) => {
  let sdk: Sdk
  beforeAll(async () => {
    sdk = await loadSdk(major)
  })

  test('S0-08: transcribe sends a WAV file over /stt with token and attribution, and closes', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: 'good morning', language: 'no', interim: ['good'] }
    const provider = providerFor(gateway, { job: jobOf('a'), priority: 'low' })
    const audio = wav(tone(30, 16_000), 16_000)
    const model = provider.transcription('deepgram/nova-3:no')
    const result = await sdk.transcribe({ model, audio, providerOptions: settle })
    expect(result.text).toBe('good morning')
    expect(result.language).toBe('no')
    expect(result.durationInSeconds).toBeCloseTo(0.3)
    expect(result.segments).toEqual([{ text: 'good morning', startSecond: 0, endSecond: expect.closeTo(0.3) }])
    const request = await gateway.request(0)
    expect(request.path).toBe('/stt?model=deepgram%2Fnova-3')
    expect(request.status).toBe(101)
    expect([request.header('x-livekit-job-id'), request.header('x-livekit-agent-id')]).toEqual(['AJ_a', 'PA_a'])
    expect(request.header('x-livekit-inference-priority')).toBe('low')
    expect(request.header('user-agent')).toMatch(/^roomhook\//)
    expect(request.session?.create).toEqual({
      type: 'session.create',
      model: 'deepgram/nova-3',
      settings: { sample_rate: '16000', encoding: 'pcm_s16le', language: 'no', extra: {} },
    })
    expect(request.session?.audioBytes).toBe(audio.length - 44)
    expect(await request.gone).toBe(1000)
    expect(request.session?.messages.map(({ type }) => type).slice(-2)).toEqual(['session.finalize', 'session.close'])
  })

  test('stereo becomes mono, raw samples need a rate, and compressed audio is refused', async () => {
    await using gateway = await startGateway()
    const stereo = wav(tone(20, 16_000), 16_000)
    stereo.writeUInt16LE(2, 22)
    const model = transcriber(gateway)
    await sdk.transcribe({ model, audio: stereo, providerOptions: settle })
    expect((await gateway.request(0)).session?.audioBytes).toBe((stereo.length - 44) / 2)
    const raw = { livekit: { settleMs: 1, inputSampleRate: 8000 } }
    const result = await sdk.transcribe({ model, audio: tone(10, 8000), providerOptions: raw })
    expect(result.durationInSeconds).toBeCloseTo(0.1)
    for (const audio of [tone(10, 8000), Buffer.from('ID3 not really an mp3')]) {
      await expect(sdk.transcribe({ model, audio, maxRetries: 0 })).rejects.toThrow(/must be a WAV file of 16-bit PCM/)
    }
    expect(gateway.requests.length).toBe(2)
  })

  test('generateSpeech gives a WAV file, or PCM when asked, in the voice of the id', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway, { job: jobOf('a') }).speech('cartesia/sonic-3:voice-1')
    const spoken = await sdk.generateSpeech({ model, text: 'Hello. How are you?', language: 'en' })
    expect(spoken.audio.mediaType).toBe('audio/wav')
    const file = Buffer.from(spoken.audio.uint8Array)
    expect(file.readUInt32LE(24)).toBe(24_000)
    const request = await gateway.request(0, '/tts')
    expect(request.path).toBe('/tts?model=cartesia%2Fsonic-3')
    expect(request.header('x-livekit-room-id')).toBe('RM_a')
    expect(file.length - 44).toBe(request.session?.audioBytes)
    expect(request.session?.create).toEqual({
      type: 'session.create',
      model: 'cartesia/sonic-3',
      sample_rate: '24000',
      encoding: 'pcm_s16le',
      voice: 'voice-1',
      language: 'en',
      extra: {},
    })
    expect(request.session?.messages.slice(1, 4)).toEqual([
      { type: 'input_transcript', transcript: 'Hello. ' },
      { type: 'input_transcript', transcript: 'How are you? ' },
      { type: 'session.flush' },
    ])
    expect(await request.gone).toBe(1000)
    const options = { livekit: { sampleRate: 8000, extra: { speed: 'slow' } } }
    const raw = await sdk.generateSpeech({
      model,
      text: 'Hi.',
      voice: 'voice-2',
      outputFormat: 'pcm',
      providerOptions: options,
    })
    expect(raw.audio.uint8Array.length).toBe(gateway.requests[1]?.session?.audioBytes)
    expect(gateway.requests[1]?.session?.create).toMatchObject({
      voice: 'voice-2',
      sample_rate: '8000',
      extra: { speed: 'slow' },
    })
  })

  test('what speech cannot do is a warning, not a guess', async () => {
    await using gateway = await startGateway()
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    const call = { model, text: 'Hi.', outputFormat: 'mp3', speed: 2, instructions: 'softly' }
    const result = await sdk.generateSpeech(call)
    expect(result.audio.mediaType).toBe('audio/wav')
    const features = (result.warnings as { feature: string }[]).map(({ feature }) => feature)
    expect(features.sort()).toEqual(['instructions', 'outputFormat', 'speed'])
  })

  test('S0-12: a refused upgrade says its status, and the SDK retries what is worth it', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ path: '/tts', status: 429 }, { path: '/tts', status: 403 })
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    const limited = sdk.generateSpeech({ model, text: 'Hi.', maxRetries: 0 })
    await expect(limited).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', statusCode: 429, isRetryable: true })
    const forbidden = sdk.generateSpeech({ model, text: 'Hi.' })
    await expect(forbidden).rejects.toMatchObject({ retryable: false, details: { statusCode: 403 } })
    expect(gateway.requests.length).toBe(2)
  })

  test('a refused upgrade tells the SDK when to come again, and what the quota is', async () => {
    await using gateway = await startGateway()
    const headers = { 'Retry-After': '3', 'X-LiveKit-Inference-Credits-Used': '0.25' }
    gateway.faults.push({ path: '/tts', status: 429, headers })
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    await expect(sdk.generateSpeech({ model, text: 'Hi.', maxRetries: 0 })).rejects.toMatchObject({
      statusCode: 429,
      isRetryable: true,
      responseHeaders: { 'retry-after-ms': '3000', 'x-livekit-inference-credits-used': '0.25' },
    })
  })

  test('a session that fails, is cut, or is closed early is an error that can be retried', async () => {
    await using gateway = await startGateway()
    const say = () =>
      sdk.generateSpeech({ model: providerFor(gateway).speech('cartesia/sonic-3'), text: 'One. Two.', maxRetries: 0 })
    gateway.tts = { error: { message: 'the text was: One.' } }
    const failed = await say().catch((error: Error) => error)
    expect(failed).toMatchObject({ code: 'TRANSPORT_FAILED', isRetryable: true })
    expect(failed.message).not.toContain('One.')
    gateway.tts = { cutAfter: 1 }
    await expect(say()).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', retryable: true })
    gateway.stt = { transcript: 'x', closeInstead: 1011 }
    const audio = wav(tone(10, 16_000), 16_000)
    const heard = sdk.transcribe({ model: transcriber(gateway), audio, maxRetries: 0 })
    await expect(heard).rejects.toThrow(/closed the session before it was done/)
    gateway.stt = { transcript: 'x', error: { message: 'bad', code: 400 } }
    const refused = sdk.transcribe({ model: transcriber(gateway), audio, maxRetries: 2 })
    await expect(refused).rejects.toMatchObject({ statusCode: 400, isRetryable: false })
  })

  test('an abort closes the socket at once', async () => {
    await using gateway = await startGateway()
    gateway.tts = { hold: () => new Promise(() => {}) }
    const abort = new AbortController()
    const model = providerFor(gateway).speech('cartesia/sonic-3')
    const speaking = sdk.generateSpeech({ model, text: 'One. Two.', abortSignal: abort.signal })
    const request = await gateway.request(0, '/tts')
    abort.abort()
    await expect(speaking).rejects.toMatchObject({ name: 'AbortError' })
    await request.gone
  })

  test('nothing that can be heard is no text', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: '', silent: true }
    const audio = wav(tone(10, 16_000), 16_000)
    const heard = sdk.transcribe({ model: transcriber(gateway), audio, providerOptions: settle, maxRetries: 0 })
    if (major === 6) await expect(heard).rejects.toMatchObject({ name: 'AI_NoTranscriptGeneratedError' })
    else expect((await heard).text).toBe('')
  })
})

test.each([
  [{ type: 'audio/pcmu', rate: 8000 }, /inputAudioFormat\.type must be audio\/pcm/],
  [{ type: 'audio/pcm' }, /inputAudioFormat\.rate must be a whole number from 8000 to 48000/],
  [undefined, /inputAudioFormat\.type/],
])('the input format %o is refused', async (inputAudioFormat, message) => {
  await using gateway = await startGateway()
  const audio = new ReadableStream<Uint8Array>()
  const call = transcriber(gateway).doStream({ audio, inputAudioFormat: inputAudioFormat as never })
  await expect(call).rejects.toThrow(message)
  await expect(call).rejects.toBeInstanceOf(ConfigError)
})

test.each([
  { settleMs: -1 },
  { settleMs: Number.NaN },
  { inputSampleRate: 1 },
  { language: '' },
  { extra: [] },
  { langauge: 'en' },
])('the transcription option %o is refused', async (options) => {
  await using gateway = await startGateway()
  const call = transcriber(gateway).doGenerate({
    audio: wav(tone(1, 8000), 8000),
    mediaType: 'audio/wav',
    providerOptions: { livekit: options as never },
  })
  await expect(call).rejects.toBeInstanceOf(ConfigError)
  expect(gateway.requests).toEqual([])
})
