// Everything a checkout needs before it can be built, tested or demonstrated: tools checked, npm packages, the engine
// library from its wheel (with its SHA-256), a real livekit-server. A second run does nothing.

import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { cache, digest, Failure, main, once, root, run, step } from './lib.mjs'

const ENGINE = {
  wheel: 'livekit==1.1.21',
  platform: 'manylinux_2_28_x86_64',
  wheelSha256: '148553a7d6515cf0c373f591f962de221253fe305d0a84857f2955f520a54340',
  librarySha256: '05a58fc83b3515cd4e984a66c69c22e0aad09eadb6e972edde626488dafbf5ad',
}
const LIVEKIT_SERVER = { module: 'github.com/livekit/livekit-server/cmd/server', version: 'v1.13.5' }

const CARGO_DENY = '0.20.2'

const TOOLS = [
  ['cargo', ['--version'], 'Rust (rustup.rs, or your package manager)'],
  ['go', ['version'], 'Go 1.25 or newer (go.dev, or your package manager)'],
  ['python3', ['-m', 'pip', '--version'], 'Python 3 with pip (your package manager: python3 and python3-pip)'],
  ['cc', ['--version'], 'a C compiler (your package manager: gcc or clang)'],
]

async function checkTools() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Failure(`Node 20.19 or newer is needed, this is ${process.versions.node}: install it from nodejs.org`)
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Failure(`only linux-x64 is built so far, this is ${process.platform}-${process.arch}`)
  }
  for (const [tool, args, hint] of TOOLS) {
    try {
      await run(tool, args, { quiet: true })
    } catch {
      throw new Failure(`\`${tool} ${args.join(' ')}\` does not work here: install ${hint}`)
    }
  }
}

// `npm install` and not `npm ci`: where a registry lacks the optional packages of other platforms, the lock file cannot
// name them, and `npm ci` refuses it. The lock file decides all versions and is left as it is committed.
async function npmInstall(name, folder) {
  const lock = join(root, folder, 'package-lock.json')
  const committed = readFileSync(lock)
  await once(name, digest(lock), [join(folder, 'node_modules')], async () => {
    try {
      await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
        cwd: join(root, folder),
        quiet: true,
      })
    } finally {
      writeFileSync(lock, committed)
    }
  })
}

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex')

function checkSha256(path, expected, what) {
  const actual = sha256(path)
  if (actual !== expected) throw new Failure(`${what} has SHA-256 ${actual}, expected ${expected}: do not use it`)
}

async function engine() {
  const folder = join(cache, 'engine')
  const library = join(folder, 'liblivekit_ffi.so')
  const results = [library, join(folder, 'livekit_ffi.fds'), join(folder, 'LICENSE.md')]
  await once('engine', JSON.stringify(ENGINE) + digest('scripts/engine-proto.py'), results, async () => {
    mkdirSync(folder, { recursive: true })
    const work = mkdtempSync(join(folder, 'download-'))
    try {
      const pip = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check']
      await run('python3', [...pip, '--platform', ENGINE.platform, '--dest', work, ENGINE.wheel], { quiet: true })
      const wheel = join(work, `livekit-1.1.21-py3-none-${ENGINE.platform}.whl`)
      checkSha256(wheel, ENGINE.wheelSha256, `the wheel ${ENGINE.wheel}`)
      await run('python3', ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')], { quiet: true })
      const resources = join(work, 'wheel', 'livekit', 'rtc', 'resources')
      checkSha256(join(resources, 'liblivekit_ffi.so'), ENGINE.librarySha256, 'the engine library in the wheel')
      const protos = join(work, 'wheel', 'livekit', 'rtc', '_proto')
      await run('python3', ['scripts/engine-proto.py', protos, join(folder, 'livekit_ffi.fds')], { quiet: true })
      renameSync(join(resources, 'LICENSE.md'), join(folder, 'LICENSE.md'))
      renameSync(join(resources, 'liblivekit_ffi.so'), library)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  })
  placeBesideAddon(library)
}

// The addon finds the engine in its own folder, in a checkout as in the platform package.
function placeBesideAddon(library) {
  const beside = join(root, 'liblivekit_ffi.so')
  if (existsSync(beside) && sha256(beside) === ENGINE.librarySha256) return
  rmSync(beside, { force: true })
  try {
    linkSync(library, beside)
  } catch {
    copyFileSync(library, beside)
  }
}

async function livekitServer() {
  const given = process.env.ROOMHOOK_LIVEKIT_SERVER
  if (given !== undefined) {
    if (!existsSync(given)) throw new Failure(`ROOMHOOK_LIVEKIT_SERVER names ${given}, which does not exist`)
    return
  }
  const binary = join(cache, 'livekit-server')
  await once('livekit-server', LIVEKIT_SERVER.version, [binary], async () => {
    const bin = join(cache, 'go-bin')
    mkdirSync(bin, { recursive: true })
    process.stdout.write(`  building livekit-server ${LIVEKIT_SERVER.version}, about 90 s the first time\n`)
    await run('go', ['install', `${LIVEKIT_SERVER.module}@${LIVEKIT_SERVER.version}`], {
      env: { GOBIN: bin },
      quiet: true,
    })
    renameSync(join(bin, 'server'), binary)
  })
}

async function cargoDeny() {
  await once('cargo-deny', CARGO_DENY, [join(cache, 'bin', 'cargo-deny')], () =>
    run(
      'cargo',
      ['install', `cargo-deny@${CARGO_DENY}`, '--locked', '--root', cache, '--target-dir', join(cache, 'cargo-deny')],
      {
        quiet: true,
      },
    ),
  )
  rmSync(join(cache, 'cargo-deny'), { recursive: true, force: true })
}

/** Folders with a package.json of their own that only tests use: one npm install each. */
const FIXTURES = ['__test__/ai6', '__test__/ai7', '__test__/ts7']

async function fixtures() {
  for (const folder of FIXTURES) await npmInstall(`fixture-${folder.replaceAll('/', '-')}`, folder)
}

/** Prepares the checkout. */
export async function setup() {
  await checkTools()
  mkdirSync(cache, { recursive: true })
  await step('npm packages', () => npmInstall('npm', '.'))
  await step('engine library', engine)
  await step('livekit-server', livekitServer)
}

/** Prepares what only `npm test` needs on top. */
export async function setupTests() {
  await step('cargo-deny', cargoDeny)
  await step('fixtures', fixtures)
}

if (process.argv[1] === import.meta.filename) await main(setup)
