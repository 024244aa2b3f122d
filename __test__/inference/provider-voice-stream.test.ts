// `livekit.transcription()` and `livekit.speech()` as streams, which ai 7 has: audio that is heard while it comes in, text
// that is spoken while it is written, and how either ends early.

import { beforeAll, expect, test } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { collect, loadSdk, type Sdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { tone } from '../support/gateway-speech.js'
import { listen } from '../support/suite-log.js'

listen(() => {})

const settle = { livekit: { settleMs: 1 } }

function providerFor(gateway: Gateway, settings: object = {}) {
  return livekit({ ...gateway.keys, baseURL: gateway.url, ...settings })
}

function transcriber(gateway: Gateway) {
  return providerFor(gateway).transcription('deepgram/nova-3')
}

let sdk: Sdk
beforeAll(async () => {
  sdk = await loadSdk(7)
})

test('streamTranscribe gives partials, finals and the whole', async () => {
  await using gateway = await startGateway()
  gateway.stt = { transcript: 'hello world', interim: ['hel', 'hello'] }
  const audio = ReadableStream.from([tone(10, 16_000), tone(10, 16_000).toString('base64')])
  const result = sdk.ai.experimental_streamTranscribe?.({
    model: transcriber(gateway),
    audio,
    inputAudioFormat: { type: 'audio/pcm', rate: 16_000 },
    providerOptions: settle,
    includeRawChunks: true,
  })
  const parts = (await collect(result.fullStream)) as { type: string; text?: string }[]
  const texts = parts.filter(({ type }) => type !== 'raw').map(({ type, text }) => [type, text])
  expect(texts).toEqual([
    ['transcript-partial', 'hel'],
    ['transcript-partial', 'hello'],
    ['transcript-final', 'hello world'],
  ])
  expect(parts.some(({ type }) => type === 'raw')).toBe(true)
  expect(await result.text).toBe('hello world')
  expect(await result.durationInSeconds).toBeCloseTo(0.2)
  expect(gateway.requests[0]?.session?.audioBytes).toBe(2 * 3200)
})

test('a microphone that stays open is heard while it is', async () => {
  await using gateway = await startGateway()
  gateway.stt = { transcript: 'done', interim: ['first', 'second'] }
  let microphone: ReadableStreamDefaultController<Uint8Array> | undefined
  const keep = (controller: typeof microphone) => {
    microphone = controller
  }
  const audio = new ReadableStream<Uint8Array>({ start: keep })
  const inputAudioFormat = { type: 'audio/pcm', rate: 16_000 }
  const result = sdk.ai.experimental_streamTranscribe?.({
    model: transcriber(gateway),
    audio,
    inputAudioFormat,
    providerOptions: settle,
  })
  const heard: string[] = []
  microphone?.enqueue(tone(10, 16_000))
  for await (const part of result.fullStream as AsyncIterable<{ type: string; text: string }>) {
    heard.push(part.text)
    if (part.text === 'first') microphone?.enqueue(tone(10, 16_000))
    if (part.text === 'second') microphone?.close()
  }
  expect(heard).toEqual(['first', 'second', 'done'])
})

test('streamSpeech speaks whole sentences while the text is being written', async () => {
  await using gateway = await startGateway()
  let writer: ReadableStreamDefaultController<string> | undefined
  const keep = (controller: typeof writer) => {
    writer = controller
  }
  const text = new ReadableStream<string>({ start: keep })
  const model = providerFor(gateway).speech('cartesia/sonic-3')
  const result = sdk.ai.experimental_streamSpeech?.({
    model,
    text,
    outputFormat: { type: 'audio/pcm', rate: 16_000 },
  })
  writer?.enqueue('Hel')
  writer?.enqueue('lo there. Gen')
  const sizes: number[] = []
  for await (const part of result.fullStream as AsyncIterable<{ audio: Uint8Array; audioFormat: object }>) {
    expect(part.audioFormat).toEqual({ type: 'audio/pcm', rate: 16_000 })
    sizes.push(part.audio.length)
    if (sizes.length > 1) continue
    writer?.enqueue('eral Kenobi')
    writer?.close()
  }
  // 10 ms of 16 kHz a character: `Hello there. ` and `General Kenobi `.
  expect(sizes).toEqual([13 * 320, 15 * 320])
  expect(await result.usage).toEqual({ inputCharacters: 27 })
  expect(gateway.requests[0]?.session?.text).toBe('Hello there. General Kenobi ')
})

test('leaving the audio closes the socket and gives the text back', async () => {
  await using gateway = await startGateway()
  let given: unknown
  const text = new ReadableStream<string>({
    start: (controller) => controller.enqueue('One sentence. '),
    cancel: (reason) => {
      given = reason ?? 'cancelled'
    },
  })
  const model = providerFor(gateway).speech('cartesia/sonic-3')
  const result = sdk.ai.experimental_streamSpeech?.({ model, text })
  for await (const _ of result.audioStream) break
  await (await gateway.request(0)).gone
  expect(given).toBeDefined()
})

test('a stream of audio that breaks ends the session with its error', async () => {
  await using gateway = await startGateway()
  const audio = new ReadableStream({ start: (controller) => controller.error(new Error('the microphone is gone')) })
  const inputAudioFormat = { type: 'audio/pcm', rate: 16_000 }
  const result = sdk.ai.experimental_streamTranscribe?.({ model: transcriber(gateway), audio, inputAudioFormat })
  await expect(result.text).rejects.toThrow('the microphone is gone')
  await (await gateway.request(0)).gone
})
