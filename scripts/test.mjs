// `npm test`: everything a contributor needs before pushing, and all that CI runs. Stops at the first failing step.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { cache, digest, Failure, main, once, run, step } from './lib.mjs'
import { forgetLogs, logsAreClean } from './log-check.mjs'
import { newestNode } from './nodes.mjs'
import { packageTest } from './package-test.mjs'
import { setup, setupTests } from './setup.mjs'

let passed = 0

function countCargo(output) {
  for (const [, count] of output.matchAll(/^test result: ok\. (\d+) passed/gm)) passed += Number(count)
}

async function rust() {
  const { output } = await run('cargo', ['test', '--no-default-features'])
  countCargo(output)
}

async function coreIsFreeOfNode() {
  const { output } = await run('cargo', ['tree', '--no-default-features', '-e', 'normal'], { quiet: true })
  if (/\bnapi\b/.test(output)) throw new Failure('the core pulls napi: `cargo tree --no-default-features -e normal`')
}

// The binding is generated; a commit that forgets it would ship types that lie.
async function generatedFilesAreCommitted() {
  const files = ['index.js', 'index.d.ts', 'src/engine']
  const { output } = await run('git', ['status', '--porcelain', '--', ...files], { quiet: true })
  if (output.trim() !== '') throw new Failure(`generated files differ from the commit:\n${output}`)
}

async function vitest() {
  const report = join(cache, 'vitest.json')
  forgetLogs()
  await run('vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`])
  passed += JSON.parse(readFileSync(report, 'utf8')).numPassedTests
}

await main(async () => {
  const began = performance.now()
  await setup()
  await setupTests()
  await step('format and lint', async () => {
    await run('cargo', ['fmt', '--check'])
    await run('biome', ['ci', '--error-on-warnings', '.'], { quiet: true })
  })
  await step('clippy', () => run('cargo', ['clippy', '--all-targets', '--quiet', '--', '-D', 'warnings']))
  await step('Rust tests, without Node', rust)
  await step('the core is free of napi', coreIsFreeOfNode)
  await step('licences and duplicates of what we link', () =>
    run('cargo-deny', ['--offline', 'check', 'bans', 'licenses', 'sources'], { quiet: true }),
  )
  await build()
  if (process.env.CI !== undefined) await step('generated files are committed', generatedFilesAreCommitted)
  await step('types', () =>
    once('types', digest('ts', '__test__', 'tsconfig.json', 'index.d.ts'), [], () => run('tsc', [])),
  )
  await step('Vitest', vitest)
  await step('Vitest on the newest Node.js: ends of processes and threads, shared memory', newestNode)
  await step('the logs of the tests', async () => logsAreClean())
  await step('package', packageTest)
  process.stdout.write(
    `\nall of it took ${((performance.now() - began) / 60_000).toFixed(1)} min\n${passed} passed, 0 failed\n`,
  )
})
