// `npm run demo`: one LiveKit job from dispatch to success, with real parts: livekit-server (or your own, named by
// LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET), our dispatcher, the echo agent as an Express app, and a caller
// with LiveKit's own SDK, each in a process of its own. Prints every step with milliseconds since the dispatch.

import { fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from './build.mjs'
import { environment, Failure, main, root } from './lib.mjs'
import { setup } from './setup.mjs'

const STEP_TIMEOUT_MS = 30_000
const AGENT_NAME = 'echo-demo'

/** What has to happen, in the order it is explained. */
const STEPS = [
  ['dispatch', 'agent dispatch created through the LiveKit API'],
  ['jobOffered', 'LiveKit offered the job; availability answered'],
  ['jobAssigned', 'LiveKit assigned the job'],
  ['attemptStarted', 'dispatcher POSTs the signed webhook'],
  ['verified', 'agent verified the signature'],
  ['delivered', 'agent accepted; the answer is back'],
  ['connected', 'agent connected to the room'],
  ['jobRunning', 'status JS_RUNNING'],
  ['callerJoined', 'caller joined the room'],
  ['firstFrame', 'agent heard the first audio frame'],
  ['echoStarted', 'caller heard the first of its echo'],
  ['echo', 'caller measured its echo'],
  ['pong', 'data message there and back'],
  ['jobEnded', 'status JS_SUCCESS'],
]

const now = () => performance.timeOrigin + performance.now()

/** Collects steps from all processes, prints them, and waits for each with a deadline. */
class Timeline {
  #began = 0
  #seen = new Map()
  #waiting = new Map()
  #failure

  note(step, at, text = '') {
    if (this.#seen.has(step)) return
    if (step === 'dispatch') this.#began = at
    this.#seen.set(step, at)
    const explanation = STEPS.find(([name]) => name === step)?.[1]
    if (explanation !== undefined) {
      const ms = (at - this.#began).toFixed(1).padStart(8)
      process.stdout.write(`${ms} ms  ${explanation}${text === '' ? '' : `: ${text}`}\n`)
    }
    this.#waiting.get(step)?.resolve()
  }

  fail(why) {
    this.#failure ??= new Failure(why)
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
  }

  async reached(step) {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#seen.has(step)) return
    const waiting = withResolvers()
    this.#waiting.set(step, waiting)
    const explanation = STEPS.find(([name]) => name === step)[1]
    const timer = setTimeout(
      () => waiting.reject(new Failure(`this step did not happen within ${STEP_TIMEOUT_MS / 1000} s: ${explanation}`)),
      STEP_TIMEOUT_MS,
    )
    await waiting.promise.finally(() => clearTimeout(timer))
  }
}

function withResolvers() {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}

async function livekit(cleanup) {
  const { LIVEKIT_URL: url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret } = process.env
  if (url !== undefined || apiKey !== undefined || apiSecret !== undefined) {
    if (!url || !apiKey || !apiSecret) {
      throw new Failure('to use your own server, set all of LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET')
    }
    return { url, apiKey, apiSecret }
  }
  const { LiveKitServer } = await import('./livekit.mjs')
  const server = await LiveKitServer.start()
  cleanup.push(() => server[Symbol.asyncDispose]())
  return server
}

/** Starts the Express app; resolves with its port once it listens. */
async function startAgent(secret, timeline, cleanup) {
  const child = spawn(process.execPath, [join(root, 'examples-ts', 'dist', 'echo-agent', 'agent.js')], {
    env: { ...environment(), LIVEKIT_WEBHOOK_SECRET: secret, PORT: '0', DEMO: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanup.push(() => stop(child))
  child.on('exit', (code) => timeline.fail(`the agent's process ended with exit code ${code}`))
  const lines = createInterface({ input: child.stdout })
  const listening = withResolvers()
  lines.on('line', (line) => {
    const { step, at, port } = JSON.parse(line)
    if (port !== undefined) listening.resolve(port)
    if (step !== undefined) timeline.note(step, at)
  })
  const timer = setTimeout(() => listening.reject(new Failure('the agent did not listen within 10 s')), 10_000)
  return listening.promise.finally(() => clearTimeout(timer))
}

async function stop(child) {
  child.removeAllListeners('exit')
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exited
  clearTimeout(timer)
}

async function startDispatcher(server, port, secret, timeline, cleanup) {
  const { createDispatcher } = await import('../dist/index.js')
  const dispatcher = createDispatcher({
    livekit: { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret },
    listen: '127.0.0.1:0',
    store: ':memory:',
    agents: [
      {
        name: AGENT_NAME,
        jobTypes: ['JT_ROOM'],
        endpoints: [{ url: `http://127.0.0.1:${port}/livekit/agent`, secret }],
      },
    ],
  })
  cleanup.push(() => dispatcher.close())
  for (const event of ['jobOffered', 'jobAssigned', 'attemptStarted', 'delivered', 'jobRunning']) {
    dispatcher.on(event, ({ at }) => timeline.note(event, at))
  }
  for (const event of ['rejected', 'deliveryExhausted']) {
    dispatcher.on(event, ({ reason }) => timeline.fail(`the agent did not take the job: ${reason}`))
  }
  dispatcher.on('jobEnded', ({ at, status, error }) => {
    if (status === 'success') timeline.note('jobEnded', at)
    else timeline.fail(`the job ended with ${status}: ${error}`)
  })
  await dispatcher.start()
}

/** Starts the caller's process; it joins when it is sent its order. */
async function startCaller(timeline, cleanup) {
  const child = fork(join(root, 'scripts', 'demo-caller.mjs'), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  cleanup.push(() => stop(child))
  const ready = withResolvers()
  child.on('message', ({ step, at, frequency, level, sent, roundTripMs, message }) => {
    if (step === 'ready') ready.resolve()
    else if (step === 'failed') timeline.fail(`the caller failed: ${message}`)
    else if (step === 'echo') {
      const share = Math.round((100 * level) / sent)
      timeline.note(step, at, `${frequency.toFixed(0)} Hz (played 440 Hz), level ${share} % of what was played`)
    } else if (step === 'pong') timeline.note(step, at, `${roundTripMs.toFixed(1)} ms`)
    else timeline.note(step, at)
  })
  child.on('exit', (code) => code !== 0 && timeline.fail(`the caller's process ended with exit code ${code}`))
  await ready.promise
  return child
}

async function demo(cleanup) {
  const { AccessToken, AgentDispatchClient } = await import('livekit-server-sdk')
  const timeline = new Timeline()
  const secret = randomBytes(32).toString('hex')
  const server = await livekit(cleanup)
  const port = await startAgent(secret, timeline, cleanup)
  await startDispatcher(server, port, secret, timeline, cleanup)
  const caller = await startCaller(timeline, cleanup)

  const room = `roomhook-demo-${randomBytes(4).toString('hex')}`
  const token = new AccessToken(server.apiKey, server.apiSecret, { identity: 'caller', ttl: '10m' })
  token.addGrant({ roomJoin: true, room })
  const callerToken = await token.toJwt()
  const dispatches = new AgentDispatchClient(server.url.replace(/^ws/, 'http'), server.apiKey, server.apiSecret)
  process.stdout.write('\none job, milliseconds since the dispatch was created:\n\n')
  timeline.note('dispatch', now())
  await dispatches.createDispatch(room, AGENT_NAME, { metadata: '{"demo":true}' })
  caller.send({ url: server.url, token: callerToken, agent: 'agent-' })
  for (const [step] of STEPS) await timeline.reached(step)
  process.stdout.write(`
It works. With your own LiveKit server:

  LIVEKIT_URL=wss://… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… npm run demo

In your own project: \`npm install roomhook\`, mount an agent on a route (README.md), and run
\`npx roomhook dispatch --config roomhook.yaml\` where it reaches both LiveKit and your route.
`)
}

await main(async () => {
  await setup()
  await build()
  const cleanup = []
  let failed
  try {
    await demo(cleanup)
  } catch (error) {
    failed = error
  }
  for (const undo of cleanup.reverse()) await undo()
  if (failed !== undefined) throw failed
})
