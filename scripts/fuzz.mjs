// `npm run fuzz -- [seconds] [target …]`: every fuzz target in turn, 60 s each unless told otherwise. The corpus stays in
// fuzz/corpus, so that the next run begins where this one ended; an input that fails is in fuzz/artifacts.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cache, cargoTarget, Failure, main, once, root, run, step } from './lib.mjs'

const CARGO_FUZZ = '0.13.2'

async function cargoFuzz() {
  await once('cargo-fuzz', CARGO_FUZZ, [join(cache, 'bin', 'cargo-fuzz')], () =>
    run('cargo', ['install', `cargo-fuzz@${CARGO_FUZZ}`, '--locked', '--root', cache], { quiet: true }),
  )
}

await main(async () => {
  const [first, ...rest] = process.argv.slice(2)
  const timed = first !== undefined && /^\d+$/.test(first)
  const seconds = timed ? Number(first) : 60
  const named = timed || first === undefined ? rest : [first, ...rest]
  const all = readdirSync(join(root, 'fuzz', 'fuzz_targets')).map((file) => file.replace(/\.rs$/, ''))
  for (const name of named) {
    if (!all.includes(name)) throw new Failure(`${name} is not a fuzz target; there are ${all.join(', ')}`)
  }
  await step('cargo-fuzz', cargoFuzz)
  for (const target of named.length > 0 ? named : all) {
    await step(`fuzz ${target} for ${seconds} s`, async () => {
      // The sanitizers look for misuse of memory, which safe Rust rules out; without them the stable compiler will do.
      const build = ['--sanitizer', 'none', '--target', cargoTarget]
      const limits = [`-max_total_time=${seconds}`, '-timeout=10', '-print_final_stats=1', '-verbosity=0']
      await run('cargo', ['fuzz', 'run', ...build, target, '--', ...limits], { env: { RUSTC_BOOTSTRAP: '1' } })
      const artifacts = join(root, 'fuzz', 'artifacts', target)
      if (existsSync(artifacts) && readdirSync(artifacts).length > 0)
        throw new Failure(`${artifacts} holds an input that fails`)
    })
  }
})
