// How many jobs a second one dispatcher makes of LiveKit's offers, each written to the disk, and what it needs for them:
// processor time a job, memory idle and with many open jobs. The dispatcher is `roomhook dispatch` in a process of its own;
// LiveKit is a scripted worker server (a real one would be measured instead), the endpoint answers at once and reports its
// job as done.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  AvailabilityRequest,
  Job,
  JobAssignment,
  JobStatus,
  JobType,
  ServerMessage,
  WorkerMessage,
} from '@livekit/protocol'
import { AccessToken } from 'livekit-server-sdk'
import { WebSocketServer } from 'ws'
import { report, table } from './lib.mjs'

const IN_FLIGHT = 200
const JOBS = Number(process.argv[2] ?? 20_000)
const WARM = 2_000
const OPEN = 2_000
const SECRET = 'a-webhook-secret-of-thirty-two-bytes!'
const API_SECRET = 'a-loopback-secret-of-thirty-two-bytes!'
const ROOM = { sid: 'RM_1', name: 'room', creationTime: 1n, metadata: '{"plan":"gold"}' }

const grants = new AccessToken('devkey', API_SECRET, { identity: 'agent', ttl: '1h' })
grants.addGrant({ roomJoin: true, room: ROOM.name })
const token = await grants.toJwt()
const folder = await mkdtemp(join(tmpdir(), 'roomhook-bench-'))

/** Resolves when a counter has come to a number. */
class Count {
  value = 0
  #waiting = []

  add() {
    this.value += 1
    this.#waiting = this.#waiting.filter(({ at, resolve }) => this.value < at || resolve())
  }

  reaches(at) {
    return this.value >= at ? Promise.resolve() : new Promise((resolve) => this.#waiting.push({ at, resolve }))
  }
}

const livekit = { offered: 0, wanted: 0, inFlight: 0, ended: new Count(), failed: 0 }
let socket
let registered
const ready = new Promise((resolve) => {
  registered = resolve
})

const send = (message) => socket.send(new ServerMessage({ message }).toBinary())
const job = (id) =>
  new Job({ id, dispatchId: `AD_${id}`, type: JobType.JT_ROOM, room: ROOM, agentName: 'bench', metadata: '{"k":1}' })

/** Offers jobs as long as there are fewer in flight than there may be. */
function offer() {
  while (livekit.offered < livekit.wanted && livekit.inFlight < IN_FLIGHT) {
    livekit.offered += 1
    livekit.inFlight += 1
    const id = `AJ_${livekit.offered}`
    send({ case: 'availability', value: new AvailabilityRequest({ job: job(id) }) })
  }
}

/** A job no longer takes a place; the next one is offered. */
function free() {
  livekit.inFlight -= 1
  offer()
}

const workers = new WebSocketServer({ port: 0, host: '127.0.0.1' })
await once(workers, 'listening')
workers.on('connection', (connection) => {
  socket = connection
  connection.on('message', (bytes) => {
    const { message } = WorkerMessage.fromBinary(bytes)
    if (message.case === 'register') {
      const value = { workerId: 'AW_1', serverInfo: { version: '1.13.5' } }
      send({ case: 'register', value })
      registered()
    } else if (message.case === 'ping') {
      send({ case: 'pong', value: { lastTimestamp: message.value.timestamp, timestamp: BigInt(Date.now()) } })
    } else if (message.case === 'availability') {
      if (!message.value.available) throw new Error(`${message.value.jobId} was declined`)
      send({ case: 'assignment', value: new JobAssignment({ job: job(message.value.jobId), token }) })
    } else if (message.case === 'updateJob') {
      const { status } = message.value
      if (status !== JobStatus.JS_SUCCESS && status !== JobStatus.JS_FAILED) return
      if (status === JobStatus.JS_FAILED) livekit.failed += 1
      livekit.ended.add()
      free()
    }
  })
})

/** Reports a status to the dispatcher. */
const statuses = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
function tell(body, status) {
  const post = request(body.status_url, {
    agent: statuses,
    method: 'POST',
    headers: { authorization: `Bearer ${body.status_token}`, 'content-type': 'application/json' },
  })
  post.on('response', (response) => {
    if (response.statusCode !== 200) throw new Error(`a status was answered with ${response.statusCode}`)
    response.resume()
  })
  post.end(JSON.stringify({ status }))
}

/** The endpoint: takes every job, and ends it at once or leaves it running. */
const endpoint = { ends: true, posts: new Count(), repeated: 0 }
const http = createServer((incoming, response) => {
  const chunks = []
  incoming.on('data', (chunk) => chunks.push(chunk))
  incoming.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString())
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"accepted":true}')
    if (body.event !== 'job') return
    if (body.attempt > 1) endpoint.repeated += 1
    tell(body, endpoint.ends ? 'JS_SUCCESS' : 'JS_RUNNING')
    endpoint.posts.add()
    if (!endpoint.ends) free()
  })
}).listen(0, '127.0.0.1')
await once(http, 'listening')

/** Processor time of a process in milliseconds, and its memory in MB, from Linux' own books. */
async function usage(pid) {
  const stat = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return { cpuMs: (Number(stat[11]) + Number(stat[12])) * 10, rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024 }
}

const settled = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const empty = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60000)'])
const config = join(folder, 'roomhook.yaml')
await writeFile(
  config,
  `livekit: {url: 'ws://127.0.0.1:${workers.address().port}', api_key: devkey, api_secret: ${API_SECRET}}
listen: 127.0.0.1:0
store: ${join(folder, 'jobs.db')}
max_jobs: ${OPEN + IN_FLIGHT}
agents:
  - name: bench
    job_types: [JT_ROOM]
    endpoints: [{url: 'http://127.0.0.1:${http.address().port}/', secret: '${SECRET}'}]
`,
)
const cli = join(import.meta.dirname, '../dist/cli.js')
const dispatcher = spawn(process.execPath, [cli, 'dispatch', '--config', config], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
// Whoever runs it keeps its log: the lines are read and thrown away.
createInterface(dispatcher.stdout)
await ready
await settled(3_000)
const idle = await usage(dispatcher.pid)
const bare = await usage(empty.pid)
empty.kill()

async function run(jobs) {
  livekit.wanted += jobs
  offer()
  await livekit.ended.reaches(livekit.wanted)
}

await run(WARM)
const before = await usage(dispatcher.pid)
const began = performance.now()
await run(JOBS)
const seconds = (performance.now() - began) / 1_000
const after = await usage(dispatcher.pid)

await settled(3_000)
const quiet = await usage(dispatcher.pid)
endpoint.ends = false
livekit.wanted += OPEN
offer()
await endpoint.posts.reaches(livekit.wanted)
await settled(3_000)
const open = await usage(dispatcher.pid)

dispatcher.kill('SIGKILL')
workers.close()
socket.terminate()
http.close()
http.closeAllConnections()
statuses.destroy()
await rm(folder, { recursive: true, force: true })

const rate = JOBS / seconds
const cpuMs = (after.cpuMs - before.cpuMs) / JOBS
const idleMb = idle.rssMb - bare.rssMb
const openMb = open.rssMb - quiet.rssMb
table(
  `${JOBS} jobs, ${IN_FLIGHT} in flight, each offered, written, assigned, posted, reported and ended`,
  ['', ''],
  [
    ['jobs a second', rate],
    ['processor time a job, ms', cpuMs],
    ['attempts repeated', endpoint.repeated],
    ['jobs failed', livekit.failed],
    ['an empty Node process, MB', bare.rssMb],
    ['idle, MB', idle.rssMb],
    ['after the jobs, MB', quiet.rssMb],
    [`with ${OPEN} open jobs, MB`, open.rssMb],
  ],
)
report('dispatch', [
  { name: 'durable jobs', unit: 'jobs/s', ours: rate, cpuMs, bar: '>= 1500', ok: rate >= 1_500 },
  { name: 'attempts repeated', unit: 'attempts', ours: endpoint.repeated, bar: '0', ok: endpoint.repeated === 0 },
  { name: 'idle, above an empty Node process', unit: 'MB', ours: idleMb, bar: '<= 12', ok: idleMb <= 12 },
  { name: `${OPEN} open jobs`, unit: 'MB', ours: openMb, bar: '<= 30', ok: openMb <= 30 },
])
