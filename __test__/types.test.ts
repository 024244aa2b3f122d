// The types that users get compile in a project as the newest `tsc --init` makes it, with `types: []` and the check of
// libraries on, under TypeScript 5.9 and 7. The project is a folder of its own with the package's built types in it.

import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const COMPILERS = { '5.9': 'node_modules/typescript', '7': '__test__/ts7/node_modules/typescript' }

/** What `tsc --init` of both writes, but for `skipLibCheck` and the outputs. */
const OPTIONS = {
  module: 'nodenext',
  target: 'esnext',
  types: [],
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  strict: true,
  jsx: 'react-jsx',
  verbatimModuleSyntax: true,
  isolatedModules: true,
  noUncheckedSideEffectImports: true,
  moduleDetection: 'force',
  skipLibCheck: false,
  noEmit: true,
}

const PROGRAM = `
import { createAgent, createDispatcher, currentJob, type AgentOptions, type Job } from 'roomhook'
import { createHeaderHooks, inferenceFetch, type HeaderHook, type InferenceJob } from 'roomhook/inference'
import { signWebhook, verifyWebhook } from 'roomhook/webhook'
import { expressHandler } from 'roomhook/express'
import { livekit } from 'roomhook/ai'

const given: string | undefined = undefined
const options: AgentOptions = {
  secrets: given,
  name: given,
  request: undefined,
  entry: async (job) => {
    job.room.on('trackSubscribed', (track, publication, participant) => [track.sid, publication.sid, participant.identity])
    job.room.on('dataReceived', async (payload, _participant, _kind, topic) => {
      await job.room.localParticipant?.publishData(payload, { reliable: true, topic })
    })
    const room = await job.connect({ signal: undefined, autoSubscribe: undefined })
    const caller: string = (await job.waitForParticipant({ identity: given, signal: job.signal })).identity
    const call = inferenceFetch({ job })
    const response: Response = await call('https://example.com')
    await room.closed
    const ended: 'ended' | 'disconnected' | 'terminated' | 'closing' | 'timedOut' | undefined = job.endReason
    return [response, caller, ended]
  },
}
await using agent = createAgent(options)
agent.on('error', (error: unknown, job?: Job) => [error, job])
agent.on('jobEnded', (job, result) => [job.info.room.name, result.status === 'failed' ? result.error : result.status])
export const POST: (request: Request) => Promise<Response> = agent.fetch
export const job: InferenceJob | undefined = currentJob()
export const hook: HeaderHook | undefined = undefined
export const everything = [createDispatcher, createHeaderHooks, signWebhook, verifyWebhook, expressHandler(agent), livekit]
export const handlers = [agent.node(), agent.express()]
await agent.drain({ timeoutMs: 5, signal: undefined })
`

let project: string

beforeAll(() => {
  if (!existsSync(join(root, 'dist', 'index.d.ts'))) throw new Error('the package is not built: run `npm run build`')
  project = mkdtempSync(join(tmpdir(), 'roomhook-types-'))
  const modules = join(project, 'node_modules')
  mkdirSync(join(modules, 'roomhook'), { recursive: true })
  for (const part of ['dist', 'package.json', 'index.d.ts', 'index.js']) {
    cpSync(join(root, part), join(modules, 'roomhook', part), { recursive: true })
  }
  mkdirSync(join(modules, '@types'))
  for (const part of ['@types/node', 'undici-types']) symlinkSync(join(root, 'node_modules', part), join(modules, part))
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS, include: ['program.ts'] }))
  writeFileSync(join(project, 'program.ts'), PROGRAM)
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

test.each(Object.entries(COMPILERS))(
  'the types compile under TypeScript %s',
  { timeout: 120_000 },
  async (_, compiler) => {
    const args = [join(root, compiler, 'bin', 'tsc'), '-p', project]
    const { stdout } = await promisify(execFile)(process.execPath, args).catch((error) => error as { stdout: string })
    expect(stdout).toBe('')
  },
)
