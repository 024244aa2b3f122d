// `npm run bench -- <name> [arguments]`: builds what has changed, installs the benchmarks' own packages once, and runs
// bench/<name>.mjs. The peers live in bench/package.json, so that they are never dependencies of roomhook.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { digest, Failure, main, once, root, run, step } from './lib.mjs'
import { setup } from './setup.mjs'

const folder = join(root, 'bench')

function names() {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.mjs') && !file.startsWith('lib'))
    .map((file) => file.slice(0, -'.mjs'.length))
}

function peers() {
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const installed = Object.keys(dependencies).map((name) => join(folder, 'node_modules', name))
  return once('bench', digest('bench/package.json'), installed, () =>
    run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: folder,
      quiet: true,
    }),
  )
}

await main(async () => {
  const [name, ...args] = process.argv.slice(2)
  if (!names().includes(name)) {
    throw new Failure(`which benchmark? npm run bench -- ${names().join(' | ')}${name ? `; got ${name}` : ''}`)
  }
  await setup()
  await build({ release: true })
  await step("the peers' packages", peers)
  process.stdout.write('\n')
  await run(process.execPath, ['--expose-gc', join(folder, `${name}.mjs`), ...args])
})
