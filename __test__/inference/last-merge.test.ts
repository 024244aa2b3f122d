// The merge that is kept between requests: always what a fresh one would be, and every drop told.

import { expect, test } from 'vitest'
import { type HeaderEntry, type HeaderLayers, mergeHeaders } from '../../ts/inference/headers.js'
import { LastMerge } from '../../ts/inference/last-merge.js'

test('a kept merge is what a fresh one would be, whichever layer changes and whoever wrote into the last one', () => {
  const names = ['X-A', 'x-a', 'X-B', 'Authorization', 'x\r\n']
  const values = ['v', 'w', '', undefined, 3]
  let state = 11
  const random = (below: number) => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  const entries = (count: number): HeaderEntry[] =>
    Array.from({ length: count }, () => [names[random(names.length)] ?? '', values[random(values.length)]] as const)
  const changes: (() => Partial<HeaderLayers>)[] = [
    () => ({ userAgent: `ua/${random(2)}` }),
    () => ({ hook: { 'X-Hook': `${random(2)}` } }),
    () => ({ hook: undefined }),
    () => ({ call: entries(random(4)) }),
    () => ({ call: undefined }),
    () => ({ own: [['X-LiveKit-Job-Id', `AJ_${random(3)}`]] }),
    () => ({ forbidTransport: random(2) === 1 }),
    () => ({}),
  ]
  const last = new LastMerge()
  let layers: HeaderLayers = { userAgent: 'ua', own: [] }
  for (let round = 0; round < 5000; round++) {
    layers = { ...layers, ...changes[random(changes.length)]?.() }
    const dropped: { kept: string[]; fresh: string[] } = { kept: [], fresh: [] }
    const merged = last.merge({ ...layers }, (name, reason) => dropped.kept.push(`${name} ${reason}`))
    const fresh = mergeHeaders(layers, (name, reason) => dropped.fresh.push(`${name} ${reason}`))
    expect(Object.entries(merged)).toEqual(Object.entries(fresh))
    expect(dropped.kept).toEqual(dropped.fresh)
    merged['X-LiveKit-Job-Id'] = 'mine'
  }
})
