// What users get: both packages are packed, checked, installed into an empty folder, and the README's first example
// serves one job there against a real livekit-server.

import { spawn } from 'node:child_process'
import { once as onceEvent } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, fillPlatformPackage } from './build.mjs'
import { cache, environment, Failure, main, root, run } from './lib.mjs'
import { setup } from './setup.mjs'

const PLATFORM = 'roomhook-linux-x64-gnu'

/** Packs both packages; resolves with the two tarballs' paths. */
export async function pack() {
  const folder = join(cache, 'pack')
  const stage = join(folder, 'roomhook')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(stage, { recursive: true })
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const entry of [...manifest.files, 'README.md'])
    cpSync(join(root, entry), join(stage, entry), { recursive: true })
  // The platform package is named here and not in the checkout, where npm would look for it in the registry.
  const { devDependencies: _, scripts: __, ...published } = manifest
  published.optionalDependencies = { [PLATFORM]: manifest.version }
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published, null, 2)}\n`)
  await fillPlatformPackage()
  await run('npm', ['pack', '--pack-destination', folder], { cwd: stage, quiet: true })
  await run('npm', ['pack', '--pack-destination', folder], { cwd: join(root, 'npm', 'linux-x64-gnu'), quiet: true })
  return [`roomhook-${manifest.version}.tgz`, `${PLATFORM}-${manifest.version}.tgz`].map((name) => join(folder, name))
}

async function install(tarballs) {
  const folder = mkdtempSync(join(tmpdir(), 'roomhook-package-'))
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs], {
    cwd: folder,
    quiet: true,
  })
  const installed = readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.'))
  if (installed.sort().join() !== ['roomhook', PLATFORM].join()) {
    throw new Failure(`expected two packages to be installed, got: ${installed.join(', ')}`)
  }
  for (const name of installed) {
    const { scripts } = JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
    if (scripts !== undefined) throw new Failure(`${name} ships scripts: ${Object.keys(scripts).join(', ')}`)
  }
  return folder
}

/** The first block of a language in the README. */
function readmeBlock(language) {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const block = readme.match(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``))
  if (block === null) throw new Failure(`README.md has no ${language} example`)
  return block[1]
}

async function runExample(folder) {
  writeFileSync(join(folder, 'agent.mjs'), readmeBlock('ts'))
  writeFileSync(join(folder, 'roomhook.yaml'), readmeBlock('yaml'))
  const child = spawn(process.execPath, [join(root, 'scripts', 'package-run.mjs'), folder], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = await onceEvent(child, 'exit')
  if (code !== 0) throw new Failure("the README's first example did not serve a job from the installed packages")
}

/** Packs, checks, installs and runs. */
export async function packageTest() {
  const tarballs = await pack()
  await run('publint', [tarballs[0], '--strict'], { quiet: true })
  await run('attw', [tarballs[0], '--profile', 'esm-only'], { quiet: true })
  const folder = await install(tarballs)
  try {
    await runExample(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    if (!existsSync(join(root, 'dist'))) {
      await setup()
      await build()
    }
    await packageTest()
    process.stdout.write('two packages packed, installed and run\n')
  })
}
