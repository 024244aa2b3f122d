// Looks through all that the package logged during the tests, at trace level, for what must never be in a log: every header
// value that the local gateway was sent, the tests' secrets, and the shapes of tokens, signatures and credentials. It shows
// where something was found, never what.

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

const linesOf = (name) => readFileSync(join(folder, name), 'utf8').split('\n')

/** How many records and header values there are, and where a secret was found: `file:line: what`. */
export function checkLogs() {
  const names = readdirSync(folder)
  const values = names.filter((name) => name.endsWith('.sent')).flatMap(linesOf)
  const sent = [...new Set(values)].filter((value) => value !== '')
  const found = []
  let records = 0
  for (const name of names.filter((name) => name.endsWith('.log'))) {
    for (const [at, line] of linesOf(name).entries()) {
      if (line !== '') records += 1
      if (sent.some((value) => line.includes(value))) found.push(`.cache/logs/${name}:${at + 1}: a header value`)
      for (const [what, shape] of Object.entries(SECRETS)) {
        if (shape.test(line)) found.push(`.cache/logs/${name}:${at + 1}: ${what}`)
      }
    }
  }
  return { records, values: sent.length, found }
}

/** Fails if a log holds a secret, or if nothing was logged at all. */
export function logsAreClean() {
  const { records, values, found } = checkLogs()
  if (found.length > 0) throw new Failure(`the logs of the tests hold secrets:\n${found.join('\n')}`)
  if (records === 0) throw new Failure('the tests logged nothing: __test__/support/suite-log.ts did not run')
  if (values === 0) throw new Failure('no gateway was sent a header: __test__/support/sent-headers.ts did not run')
  process.stdout.write(
    `${records} log records at trace level, 0 with one of ${values} header values, a token, signature, credential, test secret or canary\n`,
  )
}
