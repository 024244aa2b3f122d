// What the scripts share: running a command, saying what is going on, stamps that make a second run do nothing.
// Only Node's own modules: these scripts run before anything is installed.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The checkout. */
export const root = resolve(import.meta.dirname, '..')

/** Downloads and stamps; ignored by git, safe to delete. */
export const cache = join(root, '.cache')

/** The one target whose addon is built here; `napi build` and `cargo test` share its build folder. */
export const cargoTarget = 'x86_64-unknown-linux-gnu'

/** The environment of every child: one cargo target, the engine and the server found by path. */
export function environment() {
  return {
    ...process.env,
    CARGO_BUILD_TARGET: cargoTarget,
    CARGO_TERM_COLOR: process.stdout.isTTY ? 'always' : 'never',
    ROOMHOOK_ENGINE_PATH: process.env.ROOMHOOK_ENGINE_PATH ?? join(cache, 'engine', 'liblivekit_ffi.so'),
    ROOMHOOK_LIVEKIT_SERVER: process.env.ROOMHOOK_LIVEKIT_SERVER ?? join(cache, 'livekit-server'),
    PATH: `${join(root, 'node_modules', '.bin')}:${join(cache, 'bin')}:${process.env.PATH}`,
  }
}

/** A failure that is already one clear sentence; the scripts print it without a stack. */
export class Failure extends Error {}

/** Runs a command; with `quiet`, its output is shown only when it fails. Resolves with what it printed. */
export function run(command, args, { cwd = root, env = {}, quiet = false, allowFailure = false } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, env: { ...environment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (stream) => (chunk) => {
      output += chunk
      if (!quiet) stream.write(chunk)
    }
    child.stdout.on('data', take(process.stdout))
    child.stderr.on('data', take(process.stderr))
    child.on('error', (error) =>
      fail(
        new Failure(
          error.code === 'ENOENT' ? `${command} is not on the PATH` : `${command} cannot be started: ${error.message}`,
        ),
      ),
    )
    child.on('close', (code, signal) => {
      if (code === 0 || allowFailure) return done({ output, code })
      if (quiet) process.stderr.write(output)
      fail(new Failure(`\`${command} ${args.join(' ')}\` ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}

/** SHA-256 of files, and of all files below folders (but what is installed or built there), in a fixed order. */
export function digest(...paths) {
  const hash = createHash('sha256')
  const add = (path) => {
    if (!existsSync(path)) return
    if (statSync(path).isDirectory()) {
      for (const entry of readdirSync(path).sort()) {
        if (entry !== 'node_modules' && entry !== 'dist') add(join(path, entry))
      }
      return
    }
    hash.update(path.slice(root.length)).update(readFileSync(path))
  }
  for (const path of paths) add(resolve(root, path))
  return hash.digest('hex')
}

/** Does `work` unless it was done for the same key before and its results are still there. */
export async function once(name, key, results, work) {
  const stamp = join(cache, 'stamps', name)
  const done = existsSync(stamp) && readFileSync(stamp, 'utf8') === key
  if (done && results.every((path) => existsSync(resolve(root, path)))) return false
  await work()
  mkdirSync(join(cache, 'stamps'), { recursive: true })
  writeFileSync(stamp, key)
  return true
}

/** Runs a named step and prints how long it took. */
export async function step(name, work) {
  const began = performance.now()
  process.stdout.write(`\n▶ ${name}\n`)
  const result = await work()
  process.stdout.write(`✔ ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`)
  return result
}

/** Runs a script's main function; a failure is one sentence and exit code 1. */
export async function main(work) {
  try {
    await work()
  } catch (error) {
    process.stderr.write(`\n✖ ${error instanceof Failure ? error.message : (error?.stack ?? error)}\n`)
    process.exit(1)
  }
}
