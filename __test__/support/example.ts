// Runs an example as its own process: transpiled, on a free port, against the servers a test names, and stopped by id.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import ts from 'typescript'

const root = join(import.meta.dirname, '..', '..')

/** A running example. */
export class Example implements AsyncDisposable {
  /** What it wrote to its error stream. */
  errors = ''
  readonly #child: ChildProcess

  readonly #folder: string

  private constructor(
    child: ChildProcess,
    folder: string,
    readonly port: number,
  ) {
    this.#child = child
    this.#folder = folder
    child.stderr?.on('data', (chunk) => {
      this.errors += chunk
    })
  }

  /** Starts `examples-ts/<name>/agent.ts`; it is ready when it has said its port. */
  static async start(name: string, env: Record<string, string>, nodeArgs: readonly string[] = []): Promise<Example> {
    if (!existsSync(join(root, 'dist', 'ai.js'))) throw new Error('dist/ is missing: run `npm run build:ts`')
    const source = await readFile(join(root, 'examples-ts', name, 'agent.ts'), 'utf8')
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    })
    // Beside the sources, where `roomhook` is this package; a folder for each run, because tests run side by side.
    const folder = join(root, 'examples-ts', 'dist', `${name}-${process.pid}`)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'agent.js'), outputText)
    const child = spawn(process.execPath, [...nodeArgs, join(folder, 'agent.js')], {
      env: { ...process.env, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let failure = ''
    child.stderr.on('data', (chunk) => {
      failure += chunk
    })
    for await (const line of createInterface({ input: child.stdout })) {
      const { port } = JSON.parse(line) as { port?: number }
      if (port !== undefined) return new Example(child, folder, port)
    }
    throw new Error(`the example ${name} ended before it listened: ${failure}`)
  }

  /** Posts a webhook as a dispatcher does. */
  post(webhook: { body: string; headers: Record<string, string> }): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}/livekit/agent`, { method: 'POST', ...webhook })
  }

  /** Asks it to end, and resolves with its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM')
      await once(this.#child, 'exit')
    }
    return this.#child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
