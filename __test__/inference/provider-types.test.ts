// The type tests of both fixture folders (types.ts in each) compile: what `roomhook/ai` makes is what the AI SDK takes.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

test.each([
  [6, 'true'],
  [7, 'true'],
  [7, 'false'],
])('the types fit ai %i, with exactOptionalPropertyTypes %s', { timeout: 120_000 }, async (major, exact) => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const project = join(root, '__test__', `ai${major}`)
  const args = [tsc, '-p', project, '--exactOptionalPropertyTypes', exact]
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error) => error as { stdout: string })
  expect(stdout).toBe('')
})
