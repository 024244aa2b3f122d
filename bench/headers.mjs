// What the headers of one request cost: attribution of a job in a connected room, the hooks' captured headers, one
// header of the caller and a token, merged. Against the same written out by hand in plain JavaScript.

import { twinHeaders } from '../__test__/support/headers-twin.mjs'
import { mergeHeaders } from '../dist/inference/headers.js'
import { metadataEntries } from '../dist/inference/metadata.js'
import { createHeaderHooks, turnHeaders } from '../dist/inference.js'
import { median, pairedRatio, report, table, time } from './lib.mjs'

const BAR_US = 5
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
function ours() {
  const own = metadataEntries(job, {})
  own.push(['Authorization', `Bearer ${token}`])
  return mergeHeaders({ userAgent, hook: turnHeaders({ provider: 'livekit' }), call, own }, nothing)
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
  const ok = ratio <= 1 && (count > 0 || mine <= BAR_US)
  const bar = count === 0 ? `<= ${BAR_US} us and <= 1` : '<= 1'
  figures.push({ name: `${count} hooks`, unit: 'us/request', ours: mine, peers: { twin: theirs }, ratio, bar, ok })
}
table('Building and merging the headers of one request', ['request with', 'ours µs', 'by hand µs', 'ratio'], rows)
report('headers', figures)
