// The parts of `livekit()` that have rules of their own: events out of bytes, sentences out of text, WAV files, silence in
// a session, and trace context.

import { afterEach, describe, expect, test, vi } from 'vitest'
import type { GatewayClient } from '../../ts/ai/client.js'
import { Sentences } from '../../ts/ai/speech/sentences.js'
import { IDLE_MS, Session, type Wire } from '../../ts/ai/speech/session.js'
import { speechModel } from '../../ts/ai/speech/speech.js'
import { transcriptionModel } from '../../ts/ai/speech/transcription.js'
import { TranscriptCollector } from '../../ts/ai/speech/transcription-session.js'
import { readWav, writeWav } from '../../ts/ai/speech/wav.js'
import { EventReader, MAX_EVENT_LENGTH } from '../../ts/ai/sse.js'
import { livekit } from '../../ts/ai.js'
import { collect, loadSdk } from '../support/ai-sdk.js'
import { startGateway } from '../support/gateway.js'

function bytes(text: string | Uint8Array, sizes: () => number): ReadableStream<Uint8Array> {
  const all = Buffer.from(text as string)
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= all.length) return controller.close()
      const end = at + Math.max(1, sizes())
      controller.enqueue(all.subarray(at, end))
      at = end
    },
  })
}

async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const events = new EventReader(body)
  for (let event = await events.next(); event !== undefined; event = await events.next()) yield event
}

describe('server-sent events', () => {
  const text =
    'data: {"a":1}\n\n: a comment\r\nevent: x\r\ndata:two\r\ndata: lines – ü 🎙\r\n\r\nid: 7\n\ndata: [DONE]\n\n'
  const events = ['{"a":1}', 'two\nlines – ü 🎙', '[DONE]']

  test('however the bytes are cut, the events are the same', async () => {
    for (let size = 1; size < 12; size++) expect(await collect(eventData(bytes(text, () => size)))).toEqual(events)
    let seed = 7
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      return 1 + (seed % 9)
    }
    for (let round = 0; round < 50; round++) expect(await collect(eventData(bytes(text, random)))).toEqual(events)
  })

  test('an event that the body ends without closing is still given', async () => {
    expect(await collect(eventData(bytes('data: a\n\ndata: b', () => 3)))).toEqual(['a', 'b'])
    expect(await collect(eventData(bytes('', () => 1)))).toEqual([])
  })

  test('an event without an end is refused before it fills the memory', async () => {
    const endless = bytes(`data: ${'x'.repeat(MAX_EVENT_LENGTH + 10)}`, () => 1 << 20)
    const code = (events: AsyncIterable<string>) =>
      collect(events).then(
        () => 'no error',
        (error) => error.code,
      )
    expect(await code(eventData(endless))).toBe('TRANSPORT_FAILED')
    const lines = bytes('data: 0123456789\n'.repeat(MAX_EVENT_LENGTH / 8), () => 1 << 20)
    expect(await code(eventData(lines))).toBe('TRANSPORT_FAILED')
  })
})

describe('sentences', () => {
  test.each([
    ['one by one', ['Hello', ' there. How', ' are you? I'], ['Hello there. ', 'How are you? '], 'I'],
    ['quotes and brackets', ['He said "no." (Really!) So'], ['He said "no." ', '(Really!) '], 'So'],
    ['a number with a point', ['It costs 3.50 or', ' 4.'], [], 'It costs 3.50 or 4.'],
    ['full-width stops without spaces', ['你好。今天好吗？'], ['你好。', '今天好吗？'], undefined],
    ['lines', ['first\n', 'second'], [], 'first\nsecond'],
    ['nothing but space', [' ', '\n '], [], undefined],
  ])('%s', (_name, deltas, pieces, rest) => {
    const sentences = new Sentences()
    expect(deltas.flatMap((delta) => sentences.push(delta))).toEqual(pieces)
    expect(sentences.rest()).toBe(rest)
    expect(sentences.rest()).toBeUndefined()
  })

  test('a sentence that does not end is cut at a space, and nothing is lost', () => {
    const sentences = new Sentences()
    const text = `${'word '.repeat(100)}${'x'.repeat(450)}`
    const pieces = sentences.push(text)
    expect(pieces.every((piece) => piece.length <= 200)).toBe(true)
    expect(pieces.join('') + (sentences.rest() ?? '')).toBe(text)
  })
})

describe('WAV files', () => {
  const samples = Buffer.from(new Int16Array([1, -2, 300, -32768]).buffer)
  const file = Buffer.from(writeWav({ rate: 16_000, bytes: samples }))

  test('what is written is read', () => {
    expect(readWav(file)).toEqual({ rate: 16_000, bytes: samples })
  })

  test('chunks before the data are skipped, and a size that is not known is the rest', () => {
    const list = Buffer.from('LIST\x03\0\0\0abc\0', 'latin1')
    const longer = Buffer.concat([file.subarray(0, 36), list, file.subarray(36)])
    expect(Buffer.from(readWav(longer).bytes)).toEqual(samples)
    for (const size of [0, 0xffffffff]) {
      const streamed = Buffer.from(file)
      streamed.writeUInt32LE(size, 40)
      expect(Buffer.from(readWav(streamed).bytes)).toEqual(samples)
    }
  })

  test('several channels become their mean', () => {
    const stereo = Buffer.from(file)
    stereo.writeUInt16LE(2, 22)
    expect(readWav(stereo).bytes).toEqual(Buffer.from(new Int16Array([0, -16234]).buffer))
  })

  test.each([
    ['too short', file.subarray(0, 10)],
    ['without data', file.subarray(0, 36)],
    ['of 8 bits', Buffer.concat([file.subarray(0, 34), Buffer.from([8, 0]), file.subarray(36)])],
    ['of floats', Buffer.concat([file.subarray(0, 20), Buffer.from([3, 0]), file.subarray(22)])],
    ['without channels', Buffer.concat([file.subarray(0, 22), Buffer.from([0, 0]), file.subarray(24)])],
    ['with data before its format', Buffer.concat([file.subarray(0, 12), file.subarray(36), file.subarray(12, 36)])],
  ])('a file %s is refused', (_name, broken) => {
    expect(() => readWav(broken)).toThrow(/must be a WAV file of 16-bit PCM/)
  })
})

const silence = { rate: 8000, bytes: new Uint8Array(8000) }

class FakeWire implements Wire {
  readonly sent: string[] = []
  readonly #inbox: (string | undefined)[] = []
  #waiting: ((message: string | undefined) => void) | undefined
  full = 0
  send(text: string): boolean {
    if (this.full > 0) return false
    this.sent.push(text)
    return true
  }
  async ready(): Promise<boolean> {
    this.full -= 1
    return true
  }
  receive(): Promise<string | undefined> {
    if (this.#inbox.length > 0) return Promise.resolve(this.#inbox.shift())
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }
  arrive(message: string | undefined): void {
    if (this.#waiting === undefined) this.#inbox.push(message)
    else this.#waiting(message)
    this.#waiting = undefined
  }
  async close(): Promise<void> {}
}

describe('a session', () => {
  afterEach(() => vi.useRealTimers())

  test('waits when the queue is full, and loses nothing', async () => {
    const wire = new FakeWire()
    wire.full = 3
    await new Session(wire).send({ type: 'a' })
    expect(wire.sent).toEqual(['{"type":"a"}'])
  })

  test('tells silence from the end, and a message that came late is the next one’s', async () => {
    vi.useFakeTimers()
    const wire = new FakeWire()
    const session = new Session(wire)
    const first = session.next(100)
    await vi.advanceTimersByTimeAsync(100)
    expect(await first).toBe('quiet')
    wire.arrive('{"type":"late"}')
    expect(await session.next(100)).toEqual({ type: 'late' })
    const woken = session.next(undefined)
    session.wake()
    expect(await woken).toBe('woken')
    wire.arrive('not json')
    wire.arrive('"text"')
    wire.arrive(undefined)
    expect(await session.next(100)).toBeUndefined()
  })

  test('an error of the gateway is thrown without its sentence', async () => {
    const wire = new FakeWire()
    wire.arrive('{"type":"error","message":"you said: secret","code":429}')
    const error = await new Session(wire).next(100).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'TRANSPORT_FAILED', statusCode: 429, isRetryable: true })
    expect(String(error)).not.toContain('secret')
  })

  test('F-A8: a gateway that says nothing once the input has ended is a timeout, not an answer', async () => {
    vi.useFakeTimers()
    const client = { open: async () => new Session(new FakeWire()) } as unknown as GatewayClient
    const heard = transcriptionModel('a/b', client).doGenerate({ audio: writeWav(silence), mediaType: 'audio/wav' })
    const spoken = speechModel('a/b', client).doGenerate({ text: 'Hi.' })
    const timedOut = { code: 'TIMED_OUT', message: expect.stringContaining(`sent nothing for ${IDLE_MS} ms`) }
    const failures = [heard, spoken].map((call) => expect(call).rejects.toMatchObject(timedOut))
    await vi.advanceTimersByTimeAsync(IDLE_MS)
    await Promise.all(failures)
  })

  test('a transcription waits long for the first transcript and shortly for more', () => {
    const collector = new TranscriptCollector()
    expect(collector.patience(undefined)).toBeUndefined()
    collector.take({ type: 'final_transcript', transcript: 'before the end' })
    collector.inputEnded = true
    expect([collector.patience(undefined), collector.mayClose]).toEqual([IDLE_MS, false])
    collector.take({ type: 'session.finalized' })
    expect([collector.patience(undefined), collector.mayClose]).toEqual([3000, true])
    collector.take({ type: 'final_transcript', transcript: 'after it', start: 1, duration: 'x' as never })
    expect([collector.patience(undefined), collector.patience(7)]).toEqual([500, 7])
    expect(collector.transcript.text).toBe('before the end after it')
  })
})

describe('trace context', () => {
  test('the active span of OpenTelemetry is sent, by chat and by sockets, below the call’s own headers', async () => {
    await using gateway = await startGateway()
    const { otel, otelContext, otelCore } = (await loadSdk(7)) as unknown as Record<string, Record<string, never>>
    const { context, propagation, trace, ROOT_CONTEXT } = otel as unknown as typeof import('./otel-shapes.js')
    const Manager = otelContext?.AsyncLocalStorageContextManager as unknown as new () => { enable(): object }
    const Propagator = otelCore?.W3CTraceContextPropagator as unknown as new () => object
    const provider = livekit({ ...gateway.keys, baseURL: gateway.url })
    const prompt = [{ role: 'system' as const, content: 'hi' }]
    await provider('m').doGenerate({ prompt })
    context.setGlobalContextManager(new Manager().enable())
    propagation.setGlobalPropagator(new Propagator())
    try {
      const spanContext = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 }
      await context.with(trace.setSpanContext(ROOT_CONTEXT, spanContext), async () => {
        await provider('m').doGenerate({ prompt })
        await provider('m').doGenerate({ prompt, headers: { Traceparent: 'mine' } })
        await provider.speech('v').doGenerate({ text: 'Hi.' })
      })
      await provider('m').doGenerate({ prompt })
    } finally {
      context.disable()
      propagation.disable()
    }
    const sent = gateway.requests.map((request) => [request.header('traceparent'), request.count('traceparent')])
    const parent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    expect(sent).toEqual([
      [undefined, 0],
      [parent, 1],
      ['mine', 1],
      [parent, 1],
      [undefined, 0],
    ])
  })

  test('a tracer that throws costs its header, not the call', async () => {
    await using gateway = await startGateway()
    const key = Symbol.for('opentelemetry.js.api.1')
    const global = globalThis as Record<symbol, unknown>
    const before = global[key]
    const broken = () => {
      throw new Error('a broken tracer')
    }
    global[key] = { context: { active: broken }, propagation: { inject: broken } }
    try {
      await livekit({ ...gateway.keys, baseURL: gateway.url })('m').doGenerate({ prompt: [] })
    } finally {
      global[key] = before
    }
    expect(gateway.requests[0]?.status).toBe(200)
  })
})
