// The TypeScript floors as a fact: imports point down, one file imports the native binding, and nothing imports in a
// circle, neither files nor homes. The table must match ARCHITECTURE.md.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, resolve } from 'node:path'
import { expect, test } from 'vitest'

const source = resolve(import.meta.dirname, '../ts')

/** Path prefix below `ts/` → floor; the longest matching prefix wins. Files at the top are entries, on floor 4. */
const FLOORS: Record<string, number> = {
  'base/errors': 0,
  'base/native': 1,
  base: 2,
  agent: 3,
  ai: 3,
  dispatcher: 3,
  inference: 3,
  room: 3,
  webhook: 3,
}
const ENTRIES = 4

/** What imports the binding. */
const BINDING = '../index'

function floorOf(file: string): number | undefined {
  if (!file.includes('/')) return ENTRIES
  const prefix = Object.keys(FLOORS)
    .filter((candidate) => file === candidate || file.startsWith(`${candidate}/`))
    .sort((a, b) => b.length - a.length)[0]
  return prefix === undefined ? undefined : FLOORS[prefix]
}

/** The files that a file imports, types included, without their ending; relative to `ts/`. */
function importsOf(file: string, text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .filter((target) => target.startsWith('.'))
    .map((target) => normalize(join(dirname(file), target)).replace(/\.js$/, ''))
}

/** Everything that one file imports and its floor forbids. */
function violations(file: string, text: string): string[] {
  const floor = floorOf(file)
  if (floor === undefined) return [`${file}: no floor in __test__/floors.test.ts`]
  return importsOf(file, text).flatMap((target) => {
    if (target === BINDING) return file === 'base/native' ? [] : [`${file} imports the native binding`]
    const to = floorOf(target)
    if (to === undefined) return [`${file} imports ${target}, which has no floor`]
    return to > floor ? [`${file} (floor ${floor}) imports ${target} (floor ${to})`] : []
  })
}

/** One circle of a graph, as its names in order, or nothing. */
function circle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>()
  const walk = (name: string, path: readonly string[]): string[] => {
    const at = path.indexOf(name)
    if (at >= 0) return [...path.slice(at), name]
    if (done.has(name)) return []
    for (const next of graph.get(name) ?? []) {
      const found = walk(next, [...path, name])
      if (found.length > 0) return found
    }
    done.add(name)
    return []
  }
  for (const name of graph.keys()) {
    const found = walk(name, [])
    if (found.length > 0) return found
  }
  return []
}

type Sources = readonly (readonly [file: string, text: string])[]

const files = (sources: Sources): Map<string, Set<string>> =>
  new Map(sources.map(([file, text]) => [file, new Set(importsOf(file, text))]))

const homeOf = (file: string) => (file.includes('/') ? (file.split('/')[0] ?? '') : 'entries')

/** The same for the folders at the top: what a file imports from another home. */
function homes(sources: Sources): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>()
  for (const [file, targets] of files(sources)) {
    const home = homeOf(file)
    const others = [...targets].map(homeOf).filter((other) => other !== home && other !== '..')
    graph.set(home, new Set([...(graph.get(home) ?? []), ...others]))
  }
  return graph
}

const sources = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => [file.replace(/\.ts$/, ''), readFileSync(join(source, file), 'utf8')] as const)

test('imports point down the floors, and one file imports the binding', () => {
  expect(sources.length).toBeGreaterThan(50)
  expect(sources.flatMap(([file, text]) => violations(file, text))).toEqual([])
})

test('no file imports itself by way of others', () => {
  expect(circle(files(sources))).toEqual([])
})

test('no home imports itself by way of others', () => {
  expect(circle(homes(sources))).toEqual([])
})

test('every kind of violation is named', () => {
  expect(violations('room/room', "import { native } from '../../index.js'")).toHaveLength(1)
  expect(violations('base/events', "import { Job } from '../agent/job.js'")).toHaveLength(1)
  expect(violations('base/errors', "import type { Log } from './log.js'")).toHaveLength(1)
  expect(violations('room/room', "export type { Agent } from '../index.js'")).toHaveLength(1)
  expect(violations('attic/old', '')).toHaveLength(1)
  expect(violations('agent/job', "import { Room } from '../room/room.js'")).toEqual([])
})

test('a circle is found between files, through types and exports too, and between homes', () => {
  const planted: Sources = [
    ['room/a', "import { b } from './b.js'"],
    ['room/b', "export type { C } from './c.js'"],
    ['room/c', "const a = await import('./a.js')"],
    ['agent/x', "import '../room/y.js'"],
    ['room/y', ''],
    ['room/z', "import '../agent/z.js'"],
    ['agent/z', ''],
  ]
  expect(circle(files(planted))).toEqual(['room/a', 'room/b', 'room/c', 'room/a'])
  expect(circle(homes(planted))).toEqual(['room', 'agent', 'room'])
  expect(circle(files(planted.slice(3)))).toEqual([])
})
