// The TypeScript floors as a fact: imports point down, and one file imports the native binding. The table must match
// ARCHITECTURE.md.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const source = resolve(import.meta.dirname, '../ts')

/** Path prefix below `ts/` → floor; the longest matching prefix wins. Files of floor 3 and up may import their equals. */
const FLOORS: Record<string, number> = {
  errors: 0,
  log: 1,
  native: 1,
  options: 1,
  events: 2,
  abort: 2,
  'core-log': 2,
  'agent-options': 3,
  receiver: 3,
  job: 3,
  room: 3,
  dispatcher: 3,
  inference: 3,
  webhook: 3,
  handler: 4,
  ai: 4,
  agent: 5,
  index: 5,
  express: 5,
  'node-http': 5,
  cli: 5,
}

function floorOf(file: string): number | undefined {
  const name = file.replace(/\.ts$/, '')
  const prefix = Object.keys(FLOORS)
    .filter((candidate) => name === candidate || name.startsWith(`${candidate}/`) || name.startsWith(`${candidate}-`))
    .sort((a, b) => b.length - a.length)[0]
  return prefix === undefined ? undefined : FLOORS[prefix]
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .filter((target) => target.startsWith('.'))
}

/** Everything one file imports that its floor forbids. */
function violations(file: string, text: string): string[] {
  const floor = floorOf(file)
  if (floor === undefined) return [`${file}: no floor in __test__/floors.test.ts`]
  return importsOf(text).flatMap((target) => {
    const path = normalize(join(dirname(file), target)).replace(/\.js$/, '')
    if (path === '../index') return file === 'native.ts' ? [] : [`${file} imports the native binding`]
    const to = floorOf(path)
    if (to === undefined) return [`${file} imports ${target}, which has no floor`]
    if (to > floor || (to === floor && floor < 3)) return [`${file} (floor ${floor}) imports ${target} (floor ${to})`]
    return []
  })
}

test('imports point down the floors and only native.ts imports the binding', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(5)
  const found = files.flatMap((file) => violations(relative('.', file), readFileSync(join(source, file), 'utf8')))
  expect(found).toEqual([])
})

test('every kind of violation is named', () => {
  expect(violations('room/room.ts', "import { native } from '../../index.js'")).toHaveLength(1)
  expect(violations('events.ts', "import { Job } from './job.js'")).toHaveLength(1)
  expect(violations('abort.ts', "import { TypedEmitter } from './events.js'")).toHaveLength(1)
  expect(violations('room/room.ts', "export type { Handler } from '../handler.js'")).toHaveLength(1)
  expect(violations('attic.ts', '')).toHaveLength(1)
  expect(violations('job.ts', "import { Room } from './room/room.js'")).toEqual([])
})
