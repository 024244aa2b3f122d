// An AudioStream is a ReadableStream to code that is compiled with the DOM's types, as the AI SDK's and Next.js' is.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('an AudioStream fits where a DOM ReadableStream is taken', { timeout: 120_000 }, async () => {
  const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')
  const project = join(import.meta.dirname, 'dom')
  const compiled = promisify(execFile)(process.execPath, [tsc, '-p', project])
  const { stdout } = await compiled.catch((error) => error as { stdout: string })
  expect(stdout).toBe('')
})
