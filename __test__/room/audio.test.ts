// Audio without a server: frames, sources, and streams of a local track; wrong arguments and closed objects.

import { setFlagsFromString } from 'node:v8'
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

  test('22050, 44100 and stereo are audio', async () => {
    for (const [rate, channels] of [
      [22_050, 1],
      [44_100, 2],
      [8_000, 1],
      [192_000, 2],
    ] as const) {
      await using source = new AudioSource(rate, channels)
      await source.captureFrame(tone(source, 20))
    }
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
        { maxDelayMs: 9 },
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

  test('nobody can take the memory of received frames away', () =>
    withTrack(async (track) => {
      await using stream = new AudioStream(track)
      const reader = stream.getReader()
      const first = (await reader.read()).value as AudioFrame
      const { port1, port2 } = new MessageChannel()
      // Node.js 20 copies instead, later ones throw.
      await code(async () => port1.postMessage(first.data, [first.data.buffer as ArrayBuffer])).catch(() => {})
      port1.close()
      port2.close()
      expect(first.data.length).toBe(480)
      expect((await reader.read()).value?.data.length).toBe(480)
    }))

  test('frames whose memory was detached are counted as dropped, and the stream goes on', () =>
    withTrack(async (track) => {
      await using stream = new AudioStream(track)
      const iterator = stream[Symbol.asyncIterator]()
      const { value } = (await iterator.next()) as { value: AudioFrame }
      // What ArrayBuffer.prototype.transfer() does, which Node.js 20 does not have.
      setFlagsFromString('--allow-natives-syntax')
      new Function('buffer', '%ArrayBufferDetach(buffer)')(value.data.buffer)
      // Those that waited in it are empty now; the next memory is not.
      let next: { value: AudioFrame }
      do next = (await iterator.next()) as { value: AudioFrame }
      while (next.value.data.length === 0)
      expect(next.value.data.length).toBe(480)
      expect(stream.droppedFrames).toBeGreaterThan(0)
      await iterator.return?.()
    }))

  test('closing a track ends its streams', () =>
    withTrack(async (track) => {
      const stream = new AudioStream(track)
      await track.close(false)
      for await (const _ of stream) {
      }
    }))
})
