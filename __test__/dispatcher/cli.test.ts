// The command as a user runs it: from the built package, in a process of its own.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Receiver } from '../support/receiver.js'
import { LiveKitServer, roomName } from '../support/server.js'

const cli = resolve(import.meta.dirname, '../../dist/cli.js')
let folder: string
let server: LiveKitServer

beforeAll(async () => {
  if (!existsSync(cli)) throw new Error('no dist/cli.js: run `npm run build` first')
  folder = await mkdtemp(join(tmpdir(), 'roomhook-cli-'))
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

function start(args: string[]): ChildProcessWithoutNullStreams {
  const env = { ...process.env, LIVEKIT_API_SECRET: server.apiSecret }
  return spawn(process.execPath, [cli, ...args], { env, cwd: folder })
}

async function run(...args: string[]) {
  const child = start(args)
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
  const [code] = (await once(child, 'exit')) as [number]
  return { code, stdout: await stdout, stderr: await stderr }
}

function yaml(url: string, more = ''): string {
  return `livekit:
  url: ${server.url}
  api_key: ${server.apiKey}
  api_secret: \${LIVEKIT_API_SECRET}
listen: 127.0.0.1:0
store: :memory:
start_timeout: 300ms
agents:
  external_agents:
    - name: greeter
      webhook_url: ${url}
      job_types: [JT_ROOM]
      secret: a-webhook-secret-of-thirty-two-bytes!
${more}`
}

async function config(content: string): Promise<string> {
  const path = join(folder, `${Math.random()}.yaml`)
  await writeFile(path, content)
  return path
}

const nowhere = 'http://127.0.0.1:9/'

test('version and help are told and a wrong call is one sentence with exit code 2', async () => {
  expect(await run('--version')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: '',
  })
  expect(await run('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('roomhook dispatch') })
  for (const [args, words] of [
    [[], 'what shall it do?'],
    [['dispach'], 'dispach is not a command; there is: dispatch'],
    [['dispatch', 'x.yaml'], 'dispatch takes no x.yaml; name a file with --config'],
    [['dispatch', '--confg', 'x'], "Unknown option '--confg'"],
  ] as const) {
    expect(await run(...args), words).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(words) })
  }
})

test('whatever is wrong at the start is one sentence, and the exit code is 1', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const { port } = blocker.address() as { port: number }
  const good = yaml(nowhere)
  for (const [content, words] of [
    [good.replace('[JT_ROOM]', '[JT_ROOM'), /: line 13, column \d+: the configuration is not valid YAML: /],
    [
      good.replace('JT_ROOM', 'JT_HALL'),
      /: line 12, column 19: agents\.external_agents\[0\]\.job_types\[0\] must be one of/,
    ],
    [
      good.replace('webhook_url', 'webhook_uri'),
      /: line 11, column 7: .*webhook_uri is not a known key; did you mean webhook_url\?/,
    ],
    [
      good.replace('_API_SECRET}', '_API_SECRETS}'),
      /: line 4, column 15: livekit\.api_secret needs the environment variable LIVEKIT_API_SECRETS, which is not set/,
    ],
    [good.replace('127.0.0.1:0', `127.0.0.1:${port}`), /listen: 127\.0\.0\.1:\d+ is in use by another program/],
    [good.replace(server.apiKey, 'nobody'), /livekit: LiveKit refused the API key or secret/],
    [good.replace(server.url, 'ws://127.0.0.1:9'), /no connection to livekit\.url within 300 ms/],
    [
      good.replace(':memory:', '/no/such/folder/x.db'),
      /the store \/no\/such\/folder\/x\.db cannot be written: its folder does not exist; create it first/,
    ],
  ] as const) {
    const { code, stderr } = await run('dispatch', '--config', await config(content))
    expect(stderr).toMatch(words)
    expect(stderr).toMatch(/^roomhook: .*\n$/)
    expect(stderr).not.toContain(server.apiSecret)
    expect(code, stderr).toBe(1)
  }
  blocker.close()
  expect((await run('dispatch')).stderr).toBe(
    'roomhook: the configuration roomhook.yaml cannot be read: there is no such file\n',
  )
})

test('a job is dispatched, and SIGTERM finishes the delivery under way before the process ends by itself', async () => {
  await using receiver = await Receiver.start([{ status: 503 }])
  const child = start(['dispatch', '--config', await config(yaml(receiver.url))])
  const lines: Record<string, unknown>[] = []
  const reader = createInterface(child.stdout)
  const said = (message: string) =>
    new Promise<Record<string, unknown>>((resolve) => {
      reader.on('line', (line) => {
        const record = JSON.parse(line) as Record<string, unknown>
        if (record.message === message) resolve(record)
      })
    })
  reader.on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>))
  const [started, failed] = [said('dispatching'), said('attemptFailed')]
  const { url } = await started
  const room = roomName()
  await server.dispatch(room, 'greeter')
  const { retryInMs } = await failed
  expect(retryInMs).toBe(1_000)
  child.kill('SIGTERM')
  const exited = once(child, 'exit')
  const { body } = await receiver.request(2)
  expect(body).toMatchObject({ attempt: 2, status_url: `${url}/api/agents/jobs/${body.job_id}/status` })
  expect(await exited).toEqual([0, null])
  expect(lines.map((line) => line.message)).toEqual([
    'dispatching',
    'registered',
    'jobOffered',
    'jobAssigned',
    'attemptStarted',
    'attemptFailed',
    'draining',
    'attemptStarted',
    'delivered',
    'closed',
  ])
  const all = JSON.stringify(lines)
  for (const secret of [server.apiSecret, 'a-webhook-secret', room, body.access_token, body.status_token]) {
    expect(all).not.toContain(secret)
  }
})

/** The lines of a process, in order, until it and whoever shares its output are gone. */
async function* linesOf(child: ChildProcessWithoutNullStreams): AsyncGenerator<Record<string, unknown>> {
  for await (const line of createInterface(child.stdout)) yield JSON.parse(line) as Record<string, unknown>
}

async function until(lines: AsyncGenerator<Record<string, unknown>>, message: string) {
  for (;;) {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`it ended without ${message}`)
    if (value.message === message) return value
  }
}

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'F-D12: a dispatcher under npx drains when npx dies of %s',
  async (signal) => {
    const path = await config(yaml(nowhere))
    const command = [process.execPath, cli, 'dispatch', '--config', path].map((word) => `'${word}'`).join(' ')
    const env = { ...process.env, LIVEKIT_API_SECRET: server.apiSecret }
    const npx = spawn('npx', ['-c', command], { env, cwd: folder })
    const lines = linesOf(npx)
    await until(lines, 'dispatching')
    npx.kill(signal)
    expect(await until(lines, 'draining')).toMatchObject({ activeJobs: 0 })
    await until(lines, 'closed')
    // The output ends with the last process that has it.
    expect((await lines.next()).done).toBe(true)
  },
)

test('F-D13: SIGHUP drains', async () => {
  const child = start(['dispatch', '--config', await config(yaml(nowhere))])
  const lines = linesOf(child)
  await until(lines, 'dispatching')
  const exited = once(child, 'exit')
  child.kill('SIGHUP')
  expect(await until(lines, 'draining')).toMatchObject({ signal: 'SIGHUP' })
  await until(lines, 'closed')
  expect(await exited).toEqual([0, null])
})

test('F-D13: a reader of the log that goes away ends nothing', async () => {
  await using receiver = await Receiver.start([])
  const child = start(['dispatch', '--config', await config(yaml(receiver.url))])
  const { url } = await until(linesOf(child), 'dispatching')
  child.stdout.destroy()
  child.stderr.destroy()
  const exited = once(child, 'exit')
  for (let job = 1; job <= 3; job++) {
    await server.dispatch(roomName(), 'greeter')
    await receiver.request(job)
  }
  expect((await fetch(`${url}/health`)).status).toBe(200)
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})

test('F-D13: a reader of the log that does not read holds nothing', async () => {
  await using receiver = await Receiver.start(Array.from({ length: 1_000 }, () => ({ status: 503 })))
  const retry = '      retry: {max_retries: 100, initial_wait: 1ms, max_wait: 1ms}\n'
  const child = start(['dispatch', '--config', await config(yaml(receiver.url, retry))])
  const exited = once(child, 'exit')
  let said = ''
  while (!said.includes('"dispatching"')) {
    await once(child.stdout, 'readable')
    said += child.stdout.read() ?? ''
  }
  // From here on nobody reads: about 400 bytes an attempt, where the pipe and this process take 128 KiB.
  for (let job = 1; job <= 5; job++) {
    await server.dispatch(roomName(), 'greeter')
    await receiver.request(job * 100)
  }
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})
