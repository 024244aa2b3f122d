// The queue of one stream on the JavaScript side: bounded, counted, in order, read to the end.

import { expect, test } from 'vitest'
import { AudioFrame } from '../../ts/room/audio-frame.js'
import { FrameQueue } from '../../ts/room/frame-queue.js'

const frame = (number: number): AudioFrame => new AudioFrame(Int16Array.of(number), 48_000, 1, 1)

async function numbers(queue: FrameQueue, count: number): Promise<unknown[]> {
  const results = await Promise.all(Array.from({ length: count }, () => queue.next()))
  return results.map(({ value, done }) => (done === true ? 'end' : value?.data[0]))
}

test('frames are read in order, whether they or their readers come first', async () => {
  const queue = new FrameQueue(10, () => {})
  queue.push(frame(1))
  const reading = numbers(queue, 4)
  for (const number of [2, 3, 4]) queue.push(frame(number))
  expect(await reading).toEqual([1, 2, 3, 4])
  expect(queue.dropped).toBe(0)
})

test('only the newest are kept, however many come, and the others are counted', async () => {
  const queue = new FrameQueue(3, () => {})
  for (let number = 1; number <= 1_000; number++) queue.push(frame(number))
  expect(queue.dropped).toBe(997)
  expect(await numbers(queue, 2)).toEqual([998, 999])
  for (let number = 1_001; number <= 1_003; number++) queue.push(frame(number))
  expect(queue.dropped).toBe(998)
  expect(await numbers(queue, 3)).toEqual([1_001, 1_002, 1_003])
})

test('after the end what waits is read, then nothing, for every reader', async () => {
  let dry = 0
  const queue = new FrameQueue(3, () => {
    dry += 1
  })
  queue.push(frame(1))
  queue.end()
  queue.push(frame(2))
  expect([queue.drained, dry]).toEqual([false, 0])
  expect(await numbers(queue, 3)).toEqual([1, 'end', 'end'])
  expect(queue.drained).toBe(true)
})

test('an end that finds nothing waiting tells so, once, and answers waiting readers', async () => {
  let dry = 0
  const queue = new FrameQueue(3, () => {
    dry += 1
  })
  const reading = numbers(queue, 2)
  queue.end()
  queue.end()
  expect(await reading).toEqual(['end', 'end'])
  expect(dry).toBe(1)
})

test('what is discarded is gone', async () => {
  const queue = new FrameQueue(3, () => {})
  queue.push(frame(1))
  queue.discard()
  expect(await numbers(queue, 1)).toEqual(['end'])
})
