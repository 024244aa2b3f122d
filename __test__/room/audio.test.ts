// Audio without a server: frames, sources, and streams of a local track; wrong arguments and closed objects.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as rtc from '@livekit/rtc-node'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, RoomhookError } from '../../ts/base/errors.js'
import { native } from '../../ts/base/native.js'
import { AudioFrame } from '../../ts/room/audio-frame.js'
import { AudioSource } from '../../ts/room/audio-source.js'
import { AudioStream } from '../../ts/room/audio-stream.js'
import { TrackKind } from '../../ts/room/enums.js'
import { LocalAudioTrack } from '../../ts/room/track.js'

async function code(work: () => unknown): Promise<ErrorCode> {
  try {
    await work()
  } catch (error) {
    if (RoomhookError.isInstance(error)) return error.code
    throw error
  }
  throw new Error('it did not fail')
}

const WRONG = [null, undefined, 'x', {}, [], Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, 2 ** 40] as never[]

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** After a collection, when what finalizers let go of is gone. */
async function afterGarbage(): Promise<void> {
  collectGarbage()
  await new Promise((resolve) => setImmediate(resolve))
}

function tone(source: AudioSource, milliseconds = 10, peak = 8_000): AudioFrame {
  const perChannel = (source.sampleRate * milliseconds) / 1_000
  const frame = AudioFrame.create(source.sampleRate, source.numChannels, perChannel)
  for (let at = 0; at < perChannel; at++) {
    const sample = peak * Math.sin((2 * Math.PI * 440 * at) / source.sampleRate)
    for (let channel = 0; channel < source.numChannels; channel++) {
      frame.data[at * source.numChannels + channel] = sample
    }
  }
  return frame
}

describe('AudioFrame', () => {
  test('a frame of silence has the size it says', () => {
    const frame = AudioFrame.create(48_000, 2, 480, { speaker: 1 })
    expect([frame.data.length, frame.sampleRate, frame.channels, frame.samplesPerChannel]).toEqual([
      960, 48_000, 2, 480,
    ])
    expect(frame.userdata).toEqual({ speaker: 1 })
    expect(AudioFrame.create(8_000, 1, 0).userdata).toEqual({})
  })

  test('what is no frame is refused', async () => {
    for (const wrong of [...WRONG, 0, 7_999, 192_001]) {
      expect(await code(() => AudioFrame.create(wrong, 1, 480))).toBe('CONFIG_INVALID')
      expect(await code(() => AudioFrame.create(48_000, wrong, 480))).toBe('CONFIG_INVALID')
    }
    for (const wrong of WRONG) expect(await code(() => AudioFrame.create(48_000, 1, wrong))).toBe('CONFIG_INVALID')
    for (const data of [...WRONG, new Int16Array(479), new Float32Array(480), new Uint8Array(960)] as never[]) {
      expect(await code(() => new AudioFrame(data, 48_000, 1, 480))).toBe('CONFIG_INVALID')
    }
  })
})

describe('AudioSource', () => {
  test('what is no source is refused', async () => {
    for (const wrong of [...WRONG, 0, 7_999, 192_001]) {
      expect(await code(() => new AudioSource(wrong, 1))).toBe('CONFIG_INVALID')
      expect(await code(() => new AudioSource(48_000, wrong))).toBe('CONFIG_INVALID')
    }
    for (const wrong of [null, 'x', Number.NaN, -10, 15, 60_010] as never[]) {
      expect(await code(() => new AudioSource(48_000, 1, wrong))).toBe('CONFIG_INVALID')
    }
  })

  test('frames of another format are refused, and empty ones are nothing', async () => {
    await using source = new AudioSource(48_000, 1)
    for (const wrong of WRONG) expect(await code(() => source.captureFrame(wrong))).toBe('CONFIG_INVALID')
    expect(await code(() => source.captureFrame(AudioFrame.create(44_100, 1, 441)))).toBe('CONFIG_INVALID')
    expect(await code(() => source.captureFrame(AudioFrame.create(48_000, 2, 480)))).toBe('CONFIG_INVALID')
    const changed = AudioFrame.create(48_000, 1, 480)
    changed.samplesPerChannel = 481
    expect(await code(() => source.captureFrame(changed))).toBe('CONFIG_INVALID')
    await source.captureFrame(AudioFrame.create(48_000, 1, 0))
    expect(source.queuedDuration).toBe(0)
  })

  test('it accounts for what is queued, paces the caller, and playing can be waited for', async () => {
    await using source = new AudioSource(48_000, 1, 100)
    const began = performance.now()
    for (let frame = 0; frame < 5; frame++) await source.captureFrame(tone(source, 20))
    // What this thread has spent so far may have been played meanwhile.
    expect(source.queuedDuration).toBeGreaterThanOrEqual(99 - (performance.now() - began))
    expect(source.queuedDuration).toBeLessThanOrEqual(100)
    // 200 ms more do not fit into 100 ms: the last ones wait until there is room.
    for (let frame = 0; frame < 10; frame++) await source.captureFrame(tone(source, 20))
    expect(performance.now() - began).toBeGreaterThan(150)
    await source.waitForPlayout()
    expect(source.queuedDuration).toBe(0)
    expect(performance.now() - began).toBeGreaterThan(280)
    await source.waitForPlayout()
  })

  test('a queue that is cleared holds nothing, and whoever waits for it goes on', async () => {
    await using source = new AudioSource(48_000, 1, 20_000)
    await source.captureFrame(tone(source, 15_000))
    const played = source.waitForPlayout()
    const began = performance.now()
    source.clearQueue()
    await played
    expect(performance.now() - began).toBeLessThan(5_000)
    expect(source.queuedDuration).toBe(0)
  })

  test('frames captured without waiting all arrive, up to a limit that is told', async () => {
    await using source = new AudioSource(48_000, 1, 10)
    const captures = Array.from({ length: 1_100 }, () =>
      source.captureFrame(tone(source)).then(
        () => 'taken',
        (error) => error.code,
      ),
    )
    source.clearQueue()
    const outcomes = await Promise.all(captures)
    expect(outcomes.filter((outcome) => outcome === 'taken').length).toBeGreaterThanOrEqual(1_000)
    expect(new Set(outcomes)).toEqual(new Set(['taken', 'CONFIG_INVALID']))
  })

  test('a source without a queue takes exactly 10 ms at a time', async () => {
    await using source = new AudioSource(48_000, 1, 0)
    await source.captureFrame(tone(source, 10))
    expect(await code(() => source.captureFrame(tone(source, 20)))).toBe('CONFIG_INVALID')
  })

  test('a closed source says so', async () => {
    const source = new AudioSource(48_000, 1)
    await source.captureFrame(tone(source, 100))
    const played = source.waitForPlayout()
    await source.close()
    await source.close()
    await played
    expect(await code(() => source.captureFrame(tone(source)))).toBe('CLOSED')
    expect(await code(() => source.clearQueue())).toBe('CLOSED')
    expect(await code(() => LocalAudioTrack.createAudioTrack('t', source))).toBe('CLOSED')
  })

  test('F-R19: every rate that is offered is audio, and one whose 10 ms are no whole samples is refused', async () => {
    for (const [rate, channels] of [
      [11_100, 1],
      [44_100, 2],
      [8_000, 1],
      [192_000, 2],
    ] as const) {
      await using source = new AudioSource(rate, channels)
      await source.captureFrame(tone(source, 20))
    }
    await using source = new AudioSource(48_000, 1)
    const track = LocalAudioTrack.createAudioTrack('voice', source)
    for (const rate of [11_025, 22_050, 8_001, 37_850, 191_999]) {
      expect(await code(() => new AudioSource(rate, 1))).toBe('CONFIG_INVALID')
      expect(await code(() => new AudioStream(track, rate))).toBe('CONFIG_INVALID')
      expect(await code(() => new AudioStream(track, { sampleRate: rate }))).toBe('CONFIG_INVALID')
    }
    expect(() => new AudioSource(22_050, 1)).toThrow(/multiple of 100.*resample/)
  })

  test('F-R22: a frame of rtc-node is taken, and what only looks like one is told apart', async () => {
    await using source = new AudioSource(48_000, 1)
    await source.captureFrame(rtc.AudioFrame.create(48_000, 1, 480))
    const { data } = rtc.AudioFrame.create(48_000, 1, 480)
    await source.captureFrame({ data, sampleRate: 48_000, channels: 1, samplesPerChannel: 480 })
    expect(source.queuedDuration).toBeGreaterThan(0)
    const theirs = new rtc.AudioSource(48_000, 1)
    expect(() => LocalAudioTrack.createAudioTrack('t', theirs as never)).toThrow(/AudioSource of roomhook/)
    await theirs.close()
    expect(await code(() => source.captureFrame(rtc.AudioFrame.create(48_000, 2, 480)))).toBe('CONFIG_INVALID')
    await expect(source.captureFrame({ samplesPerChannel: 480 } as never)).rejects.toThrow(/frame\.data.*Int16Array/)
  })

  test('a signal ends waiting for a full source and for what it plays, and nothing else', async () => {
    await using source = new AudioSource(48_000, 1, 20_000)
    await source.captureFrame(tone(source, 20_000))
    const aborted = new AbortController()
    const { signal } = aborted
    const waiting = [source.captureFrame(tone(source, 20_000), { signal }), source.waitForPlayout({ signal })]
    aborted.abort()
    for (const wait of waiting) expect(await code(() => wait)).toBe('ABORTED')
    expect(await code(() => source.captureFrame(tone(source), { signal: 1 as never }))).toBe('CONFIG_INVALID')
    source.clearQueue()
    await source.captureFrame(tone(source))
  })

  test('F-R5: calls that fail and that nobody awaits harm nobody', async () => {
    const unseen: unknown[] = []
    const see = (error: unknown): unknown => unseen.push(error)
    process.on('unhandledRejection', see)
    const source = new AudioSource(48_000, 1, 20_000)
    await source.captureFrame(tone(source, 20_000))
    void source.captureFrame(tone(source, 20_000))
    void source.captureFrame(null as never)
    void source.waitForPlayout({ signal: AbortSignal.abort() })
    const track = LocalAudioTrack.createAudioTrack('voice', source)
    await track.close()
    void track.mute()
    void source.captureFrame(tone(source))
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    process.off('unhandledRejection', see)
    expect(unseen).toEqual([])
  })
})

describe('LocalAudioTrack', () => {
  test('what makes no track is refused', async () => {
    await using source = new AudioSource(48_000, 1)
    for (const wrong of [null, undefined, 1, {}] as never[]) {
      expect(await code(() => LocalAudioTrack.createAudioTrack(wrong, source))).toBe('CONFIG_INVALID')
      expect(await code(() => LocalAudioTrack.createAudioTrack('t', wrong))).toBe('CONFIG_INVALID')
    }
  })

  test('it says what it is, can be muted, and closes its source unless told not to', async () => {
    const source = new AudioSource(48_000, 1)
    const track = LocalAudioTrack.createAudioTrack('voice', source)
    expect([track.name, track.kind, track.muted]).toEqual(['voice', TrackKind.KIND_AUDIO, false])
    expect(await track.mute()).toBe(track)
    expect(track.muted).toBe(true)
    await track.unmute()
    expect(track.muted).toBe(false)
    await track.close(false)
    source.clearQueue()
    await track.close()
    expect(await code(() => source.clearQueue())).toBe('CLOSED')
    expect(await code(() => track.mute())).toBe('CLOSED')
    expect(await code(() => new AudioStream(track))).toBe('CLOSED')
  })

  test('what is closed holds nothing of the media library, without a garbage collection', async () => {
    const before = native.openEngineHandles()
    const source = new AudioSource(48_000, 1)
    const track = LocalAudioTrack.createAudioTrack('voice', source)
    await source.captureFrame(tone(source))
    expect(native.openEngineHandles()).toBe(before + 2)
    await track.close()
    expect(native.openEngineHandles()).toBe(before)
  })
})

describe('AudioStream', () => {
  async function withTrack(work: (track: LocalAudioTrack, source: AudioSource) => Promise<void>): Promise<void> {
    await using source = new AudioSource(48_000, 1)
    await work(LocalAudioTrack.createAudioTrack('voice', source), source)
  }

  test('what opens no stream is refused', () =>
    withTrack(async (track) => {
      for (const wrong of WRONG) expect(await code(() => new AudioStream(wrong))).toBe('CONFIG_INVALID')
      for (const wrong of [null, 0, -1, Number.NaN, 'x', [], { rate: 1 }, { sampleRate: 1 }] as never[]) {
        expect(await code(() => new AudioStream(track, wrong))).toBe('CONFIG_INVALID')
      }
      for (const options of [
        { numChannels: 0 },
        { numChannels: 3 },
        { frameSizeMs: 9 },
        { frameSizeMs: 1.5 },
        { frameSizeMs: 1_001 },
        { capacityFrames: 0 },
        { capacityFrames: Number.NaN },
        { maxDelayMs: 0 },
        { maxDelayMs: 1_001 },
        { maxDelayMs: '20' as never },
      ]) {
        expect(await code(() => new AudioStream(track, options))).toBe('CONFIG_INVALID')
      }
      expect(await code(() => new AudioStream(track, 48_000, 0))).toBe('CONFIG_INVALID')
    }))

  test('for await reads frames of the size asked for, and leaving it cancels the stream', () =>
    withTrack(async (track) => {
      const stream = new AudioStream(track, { sampleRate: 16_000, numChannels: 2, frameSizeMs: 20 })
      let count = 0
      for await (const frame of stream) {
        expect(frame).toBeInstanceOf(AudioFrame)
        expect([frame.samplesPerChannel, frame.channels, frame.sampleRate]).toEqual([320, 2, 16_000])
        expect(frame.data.length).toBe(640)
        if (++count === 10) break
      }
      expect(stream.locked).toBe(false)
      expect(await stream.getReader().read()).toEqual({ value: undefined, done: true })
    }))

  test('it is a ReadableStream: it can be read, teed, piped and locked', () =>
    withTrack(async (track) => {
      const stream = new AudioStream(track, 48_000, 1)
      expect(stream).toBeInstanceOf(ReadableStream)
      const reader = stream.getReader()
      expect((await reader.read()).value?.samplesPerChannel).toBe(480)
      expect(() => stream[Symbol.asyncIterator]()).toThrow(TypeError)
      reader.releaseLock()
      const branches = stream.tee().map((branch) => branch.getReader())
      const seen = await Promise.all(branches.map(async (branch) => (await branch.read()).value))
      expect(seen[0]).toBe(seen[1])
      const piped = new AudioStream(track).pipeThrough(
        new TransformStream<AudioFrame, number>({ transform: (frame, out) => out.enqueue(frame.data.length) }),
      )
      for await (const length of piped) {
        expect(length).toBe(480)
        break
      }
      await Promise.all(branches.map((branch) => branch.cancel()))
    }))

  test('preventCancel leaves the stream open for the next reader', () =>
    withTrack(async (track) => {
      const stream = new AudioStream(track)
      for await (const _ of stream.values({ preventCancel: true })) break
      expect((await stream.getReader().read()).done).toBe(false)
      stream.close()
    }))

  test('a closed stream hands over what waits and then ends for every way of reading', () =>
    withTrack(async (track) => {
      const iterated = new AudioStream(track)
      const iterator = iterated[Symbol.asyncIterator]()
      await iterator.next()
      const pending = Array.from({ length: 3 }, () => iterator.next())
      iterated.close()
      iterated.close()
      let done = false
      for (const result of await Promise.all(pending)) done = result.done === true
      while (!done) done = (await iterator.next()).done === true
      expect(iterated.locked).toBe(false)

      const read = new AudioStream(track)
      const reader = read.getReader()
      await reader.read()
      read.close()
      while (!(await reader.read()).done) {}
      await reader.closed
    }))

  test('a stream nobody reads keeps its newest frames and counts the others', () =>
    withTrack(async (track) => {
      await using stream = new AudioStream(track, { capacityFrames: 5 })
      const measure = new AudioStream(track)
      let count = 0
      for await (const _ of measure) if (++count === 30) break
      expect(stream.droppedFrames).toBeGreaterThanOrEqual(10)
      stream.close()
      let left = 0
      for await (const _ of stream) left += 1
      expect(left).toBeLessThanOrEqual(5)
      expect(left).toBeGreaterThan(0)
    }))

  test('a busy thread loses the oldest frames of a small stream, and they are counted', () =>
    withTrack(async (track) => {
      await using stream = new AudioStream(track, { capacityFrames: 4 })
      const reader = stream.getReader()
      await reader.read()
      const until = performance.now() + 300
      while (performance.now() < until) {}
      await reader.read()
      expect(stream.droppedFrames).toBeGreaterThan(10)
    }))

  test('a patient stream gets many frames at once, and all of them', () =>
    withTrack(async (track) => {
      await using stream = new AudioStream(track, { maxDelayMs: 200 })
      const groups: number[] = []
      let turn = -1_000
      const iterator = stream[Symbol.asyncIterator]()
      let turns = 0
      const clock = setInterval(() => (turns += 1), 10)
      while (groups.length < 4) {
        await iterator.next()
        if (turns > turn + 3) groups.push(0)
        turn = turns
        groups[groups.length - 1] = (groups.at(-1) ?? 0) + 1
      }
      clearInterval(clock)
      // The first frame does not wait, and the last group is not whole. A busy machine makes groups larger.
      expect(groups.slice(1, -1).every((frames) => frames >= 15)).toBe(true)
      expect(stream.droppedFrames).toBe(0)
      await iterator.return?.()
    }))

  test('F-R1: the buffer of a received frame is the frame, whatever else is received', () =>
    withTrack(async (track, source) => {
      for (const streams of [1, 5]) {
        const readers = Array.from({ length: streams }, () => new AudioStream(track, { maxDelayMs: 50 }).getReader())
        void source.captureFrame(tone(source, 400, 1_000 * streams))
        const buffers = new Set<ArrayBufferLike>()
        for (let round = 0; round < 20; round++) {
          for (const reader of readers) {
            const { data } = (await reader.read()).value as AudioFrame
            expect([data.byteOffset, data.byteLength, data.buffer.byteLength]).toEqual([0, 960, 960])
            buffers.add(data.buffer)
          }
        }
        expect(buffers.size).toBe(20 * streams)
        await Promise.all(readers.map((reader) => reader.cancel()))
      }
    }))

  test('F-R1: a frame can be changed, given away and detached, and no other frame notices', () =>
    withTrack(async (track) => {
      const [first, second] = [new AudioStream(track).getReader(), new AudioStream(track).getReader()]
      const { data } = (await first.read()).value as AudioFrame
      const other = (await second.read()).value as AudioFrame
      const before = other.data.slice()
      data.fill(12_345)
      const { port1, port2 } = new MessageChannel()
      port1.postMessage(data, [data.buffer as ArrayBuffer])
      port1.close()
      port2.close()
      expect(data.length).toBe(0)
      expect(other.data).toEqual(before)
      for (const reader of [first, second]) {
        const next = (await reader.read()).value as AudioFrame
        expect([next.data.length, next.data.includes(12_345)]).toEqual([480, false])
        await reader.cancel()
      }
    }))

  test('F-R21: streams that nobody holds any more are closed by garbage collection, read or not', () =>
    withTrack(async (track) => {
      // What earlier tests left.
      for (let round = 0; round < 5; round++) await afterGarbage()
      const before = native.openEngineHandles()
      const left = async (): Promise<void> => {
        const streams = Array.from({ length: 20 }, () => new AudioStream(track))
        await Promise.all(streams.slice(5).map((stream) => stream.getReader().read()))
        await Promise.all(streams.slice(0, 5).map((stream) => stream[Symbol.asyncIterator]().next()))
        new AudioStream(track).pipeThrough(new TransformStream())
      }
      await left()
      expect(native.openEngineHandles()).toBe(before + 21)
      while (native.openEngineHandles() > before) await afterGarbage()
    }))

  test('a stream that only a waiting read holds is not collected', () =>
    withTrack(async (track) => {
      const reads = [new AudioStream(track).getReader().read(), new AudioStream(track)[Symbol.asyncIterator]().next()]
      const piped = new AudioStream(track).pipeThrough(new TransformStream<AudioFrame, AudioFrame>()).getReader().read()
      collectGarbage()
      for (const { done, value } of await Promise.all([...reads, piped])) {
        expect([done, value?.data.length]).toEqual([false, 480])
      }
    }))

  test('closing a track ends its streams', () =>
    withTrack(async (track) => {
      const stream = new AudioStream(track)
      await track.close(false)
      for await (const _ of stream) {
      }
    }))
})
