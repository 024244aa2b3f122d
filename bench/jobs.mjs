// From an agent dispatch to the running `entry`: how long it takes, and how much of it is LiveKit's own. Everything is
// real and on this machine: livekit-server, the dispatcher with its store on disk, an agent behind node:http.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgent, createDispatcher } from '../dist/index.js'
import { LiveKitServer } from '../scripts/livekit.mjs'
import { quantile, report, table } from './lib.mjs'

const JOBS = 100
const AT_ONCE = 10
const BAR_MS = 15
const SECRET = 'a-webhook-secret-of-thirty-two-bytes!'

/** The wall clock in milliseconds, finer than Date.now(). */
const now = () => performance.timeOrigin + performance.now()

const folder = await mkdtemp(join(tmpdir(), 'roomhook-bench-'))
const server = await LiveKitServer.start()
const started = new Map()
const agent = createAgent({
  secrets: SECRET,
  maxJobs: 1_000,
  entry: (job) => {
    started.get(job.metadata)?.(now())
  },
})
const http = createServer(agent.express()).listen(0, '127.0.0.1')
await once(http, 'listening')
const url = `http://127.0.0.1:${http.address().port}/`
const dispatcher = await createDispatcher({
  livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
  listen: '127.0.0.1:0',
  store: join(folder, 'jobs.db'),
  agents: [{ name: 'bench', jobTypes: ['JT_ROOM'], endpoints: [{ url, secret: SECRET }] }],
}).start()

const told = new Map()
const of = (event) => {
  if (!told.has(event.jobId)) told.set(event.jobId, {})
  return told.get(event.jobId)
}
const ids = new Map()
dispatcher.on('jobOffered', (event) => {
  ids.set(event.dispatchId, event.jobId)
  Object.assign(of(event), { offered: event.at, answered: event.at + event.answeredInMs })
})
dispatcher.on('jobAssigned', (event) => Object.assign(of(event), { assigned: event.at }))
dispatcher.on('attemptStarted', (event) => Object.assign(of(event), { posted: event.at }))
let over = 0
const everythingOver = (count) =>
  new Promise((resolve) => {
    const check = () => {
      if (over < count) return
      dispatcher.off('jobEnded', check)
      resolve()
    }
    dispatcher.on('jobEnded', check)
    check()
  })
dispatcher.on('jobEnded', () => {
  over += 1
})

/** Creates one dispatch in a room that is there already, and waits until its entry runs. */
async function run(number) {
  const room = `room-${number % AT_ONCE}`
  const key = String(number)
  const running = new Promise((resolve) => started.set(key, resolve))
  const created = now()
  const { id } = await server.dispatches.createDispatch(room, 'bench', { metadata: key })
  return { id, created, entered: await running }
}

function steps({ id, created, entered }) {
  const { offered, answered, assigned, posted } = told.get(ids.get(id))
  const livekit = offered - created + (assigned - answered)
  const total = entered - created
  return {
    'dispatch created → entry runs': total,
    "LiveKit's own: until the offer": offered - created,
    'ours: offer → answer (written to the store)': answered - offered,
    "LiveKit's own: answer → assignment": assigned - answered,
    'ours: assignment → POST (on disk)': posted - assigned,
    'ours: POST → entry (verified, accepted)': entered - posted,
    'all of it that is ours': total - livekit,
  }
}

async function measure(title, first, batches) {
  const runs = []
  for (const size of batches) {
    const from = first + runs.length
    runs.push(...(await Promise.all(Array.from({ length: size }, (_, index) => run(from + index)))))
  }
  await everythingOver(first + runs.length)
  const rows = runs.map(steps)
  const columns = Object.keys(rows[0]).map((name) => [name, rows.map((row) => row[name])])
  table(
    title,
    ['', 'p50 ms', 'p99 ms'],
    columns.map(([name, values]) => [name, quantile(values, 0.5), quantile(values, 0.99)]),
  )
  return Object.fromEntries(columns)
}

function figure(name, columns) {
  const ours = columns['all of it that is ours']
  const total = columns['dispatch created → entry runs']
  const median = quantile(ours, 0.5)
  return {
    name,
    unit: 'ms p50, without what LiveKit takes',
    ours: median,
    p99: Number(quantile(ours, 0.99).toPrecision(4)),
    total: Number(quantile(total, 0.5).toPrecision(4)),
    totalP99: Number(quantile(total, 0.99).toPrecision(4)),
    peers: {},
    bar: `<= ${BAR_MS}`,
    ok: median <= BAR_MS,
  }
}

for (let number = 0; number < AT_ONCE; number++) await server.rooms.createRoom({ name: `room-${number}` })
const WARM = 3
await Promise.all(Array.from({ length: WARM }, (_, index) => run(index)))
await everythingOver(WARM)
const single = await measure(`${JOBS} jobs, one by one`, WARM, Array(JOBS).fill(1))
const batched = await measure(`${JOBS} jobs, ${AT_ONCE} at once`, WARM + JOBS, Array(JOBS / AT_ONCE).fill(AT_ONCE))
report('jobs', [figure('one by one', single), figure(`${AT_ONCE} at once`, batched)])

await dispatcher.close()
await agent.close()
http.close()
http.closeAllConnections()
await server[Symbol.asyncDispose]()
await rm(folder, { recursive: true, force: true })
