// What the headers of one request cost: attribution of a job in a connected room, the hooks' captured headers, one
// header of the caller and a token, merged in the native core. Against the same written out by hand in plain JavaScript.

import { twinHeaders } from '../__test__/support/headers-twin.mjs'
import { native } from '../dist/base/native.js'
import { join, mergeHeaders } from '../dist/inference/headers.js'
import { ownValues } from '../dist/inference/metadata.js'
import { HeaderTurn } from '../dist/inference/turn.js'
import { createHeaderHooks } from '../dist/inference.js'
import { median, pairedRatio, report, table, time } from './lib.mjs'

const BARS = { 0: 1, 3: 1.5, 10: 1.5 }
const userAgent = 'roomhook/0.0.0 (node v20.0.0)'
const token = `${'a'.repeat(36)}.${'b'.repeat(180)}.${'c'.repeat(43)}`
const job = {
  id: 'AJ_bench',
  room: { sid: 'RM_bench' },
  liveRoom: { isConnected: true, localParticipant: { sid: 'PA_bench' } },
}
const call = [['Content-Type', 'application/json']]
const nothing = () => undefined

/** One request's headers as the transports build them. */
const rules = native.headerRules({ caller: 'request', userAgent, provider: 'livekit' })
function ours() {
  const own = ownValues(job, {}, `Bearer ${token}`)
  return mergeHeaders({ rules, turn: HeaderTurn.of(undefined), own, call: join(call), session: false }, nothing)
}

const rows = []
const figures = []
for (const count of [0, 3, 10]) {
  const hook = Object.fromEntries(Array.from({ length: count }, (_, at) => [`X-Hook-${at}`, `value-${at}`]))
  const hooks = createHeaderHooks()
  if (count > 0) hooks.on('before_llm_request', () => ({ headers: hook }))
  const twin = () => twinHeaders({ userAgent, hook, call, job, workerToken: process.env.LIVEKIT_WORKER_TOKEN, token })
  const samples = await hooks.turn({ provider: 'livekit' }, () => {
    if (JSON.stringify(ours()) !== JSON.stringify(twin())) throw new Error('the two disagree')
    return time({ ours, twin }, { rounds: 61, calls: 5000 })
  })
  const [mine, theirs] = [median(samples.ours), median(samples.twin)]
  const ratio = pairedRatio(samples.ours, samples.twin)
  rows.push([`${count} headers of hooks`, mine, theirs, ratio])
  const bar = BARS[count]
  figures.push({
    name: `${count} hooks`,
    unit: 'us/request',
    ours: mine,
    peers: { twin: theirs },
    ratio,
    bar: `<= ${bar}`,
    ok: ratio <= bar,
  })
}
table('Building and merging the headers of one request', ['request with', 'ours µs', 'by hand µs', 'ratio'], rows)
report('headers', figures)
