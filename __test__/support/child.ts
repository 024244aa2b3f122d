// Runs a piece of a program against the built package in a process of its own: what it prints, and how it ends.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const dist = resolve(import.meta.dirname, '../../dist')
const built = join(dist, 'index.js')

/** A running program. */
export interface Child {
  /** Waits for a line that begins with this; answers the rest of it. */
  line(start: string): Promise<string>
  /** Writes to its standard input. */
  tell(text: string): void
  /** Waits for the end: the exit code, or the signal, and everything it printed. */
  ended: Promise<{ code: number | string; output: string }>
}

/**
 * Starts `source` as a module with `roomhook` (everything that `roomhook` and `roomhook/inference` export; not if `load` is false) and `args` in
 * scope.
 */
export function startChild(
  source: string,
  args: Record<string, unknown> = {},
  env: Record<string, string> = {},
  { load = true }: { load?: boolean } = {},
): Child {
  if (!existsSync(built)) throw new Error('the package is not built: run `npm run build`')
  const module = `${load ? `const roomhook = { ...(await import(${JSON.stringify(built)})), ...(await import(${JSON.stringify(join(dist, 'inference.js'))})) }` : ''}
const args = ${JSON.stringify(args)}
${source}`
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '--eval', module], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let output = ''
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      for (const check of watchers) check()
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code: (code ?? signal) as number | string, output }))
  return {
    ended,
    tell: (text) => void child.stdin.write(text),
    line: (start) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const found = output.split('\n').find((line, at, lines) => line.startsWith(start) && at < lines.length - 1)
          if (found === undefined) return
          watchers.delete(check)
          resolve(found.slice(start.length).trim())
        }
        watchers.add(check)
        check()
        void ended.then(({ code }) => reject(new Error(`the program ended with ${code} before "${start}":\n${output}`)))
      }),
  }
}
