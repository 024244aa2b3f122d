// Looks through all that the package logged during the tests, at trace level, for what must never be in a log. It knows the
// tests' secrets and the shapes of tokens, signatures and credentials; it shows where something was found, never what.

import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cache, Failure } from './lib.mjs'

const folder = join(cache, 'logs')

const SECRETS = {
  'a token': /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/,
  'a credential in a header': /(authorization|bearer)["']?\s*[:=]?\s*["']?(?!\[hidden\])(?:bearer\s+)?[\w.~+/-]{16,}/i,
  'a token in a URL': /(access_token|token)=(?!\[hidden\])[\w.-]{8,}/,
  'a signature': /\b[0-9a-f]{64}\b|\bv1,[A-Za-z0-9+/]{43}=/,
  'a secret of the tests': /-of-(thirty-two|at-least-32)-bytes|whsec_/,
  'a canary': /canary/i,
}

/** Forgets the records of an earlier run. */
export function forgetLogs() {
  rmSync(folder, { recursive: true, force: true })
}

/** How many records there are, and where a secret was found: `file:line: what`. */
export function checkLogs() {
  const found = []
  let records = 0
  for (const name of readdirSync(folder)) {
    for (const [at, line] of readFileSync(join(folder, name), 'utf8').split('\n').entries()) {
      if (line !== '') records += 1
      for (const [what, shape] of Object.entries(SECRETS)) {
        if (shape.test(line)) found.push(`.cache/logs/${name}:${at + 1}: ${what}`)
      }
    }
  }
  return { records, found }
}

/** Fails if a log holds a secret, or if nothing was logged at all. */
export function logsAreClean() {
  const { records, found } = checkLogs()
  if (found.length > 0) throw new Failure(`the logs of the tests hold secrets:\n${found.join('\n')}`)
  if (records === 0) throw new Failure('the tests logged nothing: __test__/support/suite-log.ts did not run')
  process.stdout.write(
    `${records} log records at trace level, 0 with a token, signature, credential, test secret or canary\n`,
  )
}
