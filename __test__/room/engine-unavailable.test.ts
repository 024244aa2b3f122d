// A media library that is missing, cut short or another one, as a user meets it: one sentence that names the path and what
// to do, an exit code that is not 0 where nobody catches it, and a failed job where an agent runs.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChild } from '../support/child.js'
import { jobBody, SECRET, sign } from '../support/job-webhook.js'
import { LiveKitServer, roomName } from '../support/server.js'
import { StatusDesk } from '../support/status-desk.js'

let folder: string
let server: LiveKitServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roomhook-engine-'))
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** How the library is wrong, and what is said about it. */
const faults: [how: string, content: Buffer | undefined, words: string][] = [
  ['missing', undefined, 'cannot be read'],
  ['cut short', Buffer.from('\x7fELF, and then nothing'), 'expected'],
]

test.each(faults)(
  'a library that is %s ends a program that does not catch it with one sentence',
  async (how, content, words) => {
    const path = join(folder, `${how}.so`)
    if (content !== undefined) await writeFile(path, content)
    const room = roomName()
    const source = `process.env.ROOMHOOK_ENGINE_PATH = args.path
  process.on('uncaughtException', (error) => {
    console.log('said', JSON.stringify([error.name, error.code, error.retryable, error.message]))
    process.exitCode = 1
  })
  await new roomhook.Room().connect(args.url, args.token)
  console.log('the room was entered')`
    const child = startChild(source, { path, url: server.url, token: await server.token('agent', room) })
    const [name, code, retryable, message] = JSON.parse(await child.line('said'))
    expect([name, code, retryable]).toEqual(['ConnectionError', 'ENGINE_UNAVAILABLE', false])
    expect(message).toContain(path)
    expect(message).toContain(words)
    expect(message).toContain('reinstall roomhook')
    expect(message).not.toContain('\n')
    const { code: exit, output } = await child.ended
    expect(exit, output).toBe(1)
    expect(output).not.toContain('was entered')
    expect(await server.rooms.listRooms([room])).toEqual([])
  },
)

test('without a media library a job fails with that sentence, and the agent answers on', async () => {
  await using desk = await StatusDesk.open()
  const source = `process.env.ROOMHOOK_ENGINE_PATH = args.path
  const http = await import('node:http')
  const agent = roomhook.createAgent({ secrets: args.secret, entry: (job) => job.connect() })
  agent.on('error', () => {})
  const server = http.createServer(agent.express()).listen(0, '127.0.0.1', () => console.log('port', server.address().port))
  process.stdin.once('data', async () => {
    await agent.close()
    server.close()
    process.stdin.destroy()
  })`
  const child = startChild(source, { path: join(folder, 'nowhere.so'), secret: SECRET })
  const port = await child.line('port')
  for (const reports of [1, 2]) {
    const body = await jobBody({ server_url: server.url })
    const webhook = sign({ ...body, ...desk.fields(String(body.job_id)) })
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', ...webhook })
    expect(await response.json()).toMatchObject({ accepted: true })
    const report = (await desk.count(reports)).at(-1)
    expect(report?.status).toBe('JS_FAILED')
    expect(report?.error).toMatch(/^ENGINE_UNAVAILABLE.*cannot be read/)
  }
  child.tell('close')
  expect((await child.ended).code).toBe(0)
})
