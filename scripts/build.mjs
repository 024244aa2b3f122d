// Builds the addon and the TypeScript surface; a second run with unchanged sources builds nothing. Tests and the demo
// share cargo's dev profile; benchmarks and packages take release, whose link-time optimisation costs minutes.

import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cache, cargoTarget, digest, main, once, root, run, step } from './lib.mjs'
import { writeRustLicenses } from './licenses.mjs'
import { setup } from './setup.mjs'

const ADDON = 'roomhook.linux-x64-gnu.node'

async function addon(release) {
  const sources = digest('Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'package.json')
  const profile = release ? ['--release'] : []
  await once('addon', `${sources} ${profile}`, [ADDON, 'index.js', 'index.d.ts'], () =>
    run('napi', ['build', '--platform', '--esm', ...profile, '--target', cargoTarget], { quiet: true }),
  )
}

async function typescript() {
  await once(
    'dist',
    digest('ts', 'index.d.ts', 'tsconfig.json', 'tsconfig.build.json'),
    ['dist/index.js'],
    async () => {
      rmSync(join(root, 'dist'), { recursive: true, force: true })
      await run('tsc', ['-p', 'tsconfig.build.json'], { quiet: true })
    },
  )
}

async function examples() {
  await once('examples', digest('examples-ts', 'dist'), ['examples-ts/dist'], async () => {
    rmSync(join(root, 'examples-ts', 'dist'), { recursive: true, force: true })
    await run('tsc', ['-p', 'examples-ts'], { quiet: true })
  })
}

/** Puts the addon, the engine and the licences of both into the platform package, as they are packed. */
export async function fillPlatformPackage() {
  const folder = join(root, 'npm', 'linux-x64-gnu')
  for (const file of [ADDON, 'liblivekit_ffi.so']) cpSync(join(root, file), join(folder, file), { force: true })
  cpSync(join(cache, 'engine', 'LICENSE.md'), join(folder, 'LICENSE-livekit-engine.md'))
  await once('licenses', digest('Cargo.lock', 'Cargo.toml'), [join(folder, 'LICENSES-rust.md')], () =>
    writeRustLicenses(join(folder, 'LICENSES-rust.md')),
  )
}

/** Builds what has changed; with `release`, the addon as packages ship it. */
export async function build({ release = false } = {}) {
  await step(release ? 'addon, release' : 'addon', () => addon(release))
  await step('TypeScript', typescript)
  await step('examples', examples)
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    await setup()
    await build({ release: process.argv.includes('--release') })
  })
}
