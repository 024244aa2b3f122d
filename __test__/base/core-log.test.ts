// The native core's log records on their way to `setLogger`'s sink: from a real room at trace level, across the end of
// programs and of worker threads, and without keeping anybody alive. Programs of their own, because the records are the
// whole process's.

import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startChild } from '../support/child.js'
import { COMPLAINT, RudeServer } from '../support/rude-server.js'
import { LiveKitServer, roomName } from '../support/server.js'

/** Prints each record as one line. */
const PRINT = `const print = ({ level, message, fields }) => console.log(JSON.stringify({ level, message, ...fields }))`

/** Opens a socket to a server that never says goodbye, and closes it: the core has something to say about that. */
const keys = { apiKey: 'k', apiSecret: 's' }
const COMPLAIN = `
  const complain = async () => {
    const keys = ${JSON.stringify(keys)}
    const socket = await roomhook.inferenceSocket({ service: 'stt', baseURL: args.url, ...keys, closeTimeoutMs: 20 })
    await socket.close()
  }`
const built = ['index', 'inference'].map((entry) => resolve(import.meta.dirname, `../../dist/${entry}.js`))

let rude: RudeServer

beforeAll(async () => {
  rude = await RudeServer.start()
})

afterAll(() => rude[Symbol.asyncDispose]())

const records = (output: string) =>
  output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown> & { message: string; target?: string })

test('a room at trace level: the library’s records reach the sink, none with a token, a key or a TURN password', async () => {
  await using server = await LiveKitServer.start()
  const token = await server.token('someone', roomName())
  const child = startChild(
    `${PRINT}
    roomhook.setLogger({ level: 'trace', sink: print })
    const room = new roomhook.Room()
    await room.connect(args.url, args.token)
    await room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true })
    await room.disconnect()`,
    { url: server.url, token },
  )
  const { code, output } = await child.ended
  expect(code, output).toBe(0)
  const all = records(output)
  const library = all.filter(({ target }) => target === 'roomhook::engine::library')
  expect(library.length).toBeGreaterThan(100)
  expect(new Set(library.map(({ level }) => level))).toEqual(new Set(['debug', 'trace']))
  // What would hold them is there, so they were cut out and not merely absent.
  expect(output).toContain('authorization: [hidden]')
  expect(output).toMatch(/turn_password: \\"\[hidden\]\\"/)
  for (const secret of [token, token.split('.')[2] as string, server.apiSecret, server.apiKey]) {
    expect(output).not.toContain(secret)
  }
  expect(output).not.toMatch(/eyJ[\w-]{9}/)
  expect(output).not.toMatch(/ice-pwd:[^[]/)
})

describe('levels', () => {
  test.each([
    ['by default', {}, ''],
    ['with info', {}, "roomhook.setLogger({ level: 'info' })"],
  ])('%s a debug record is not made', async (_when, env, set) => {
    const child = startChild(`${COMPLAIN}\n${set}\nawait complain()`, { url: rude.url }, env)
    expect(await child.ended).toEqual({ code: 0, output: '' })
  })

  test('ROOMHOOK_LOG chooses the level, and the console shows the record with its facts', async () => {
    const child = startChild(`${COMPLAIN}\nawait complain()`, { url: rude.url }, { ROOMHOOK_LOG: 'Debug' })
    const { code, output } = await child.ended
    expect(code).toBe(0)
    expect(output).toContain(`roomhook: ${COMPLAINT} { target: 'roomhook::net::ws' }`)
  })

  test('a ROOMHOOK_LOG that names no level changes nothing', async () => {
    const child = startChild(`${COMPLAIN}\nawait complain()`, { url: rude.url }, { ROOMHOOK_LOG: 'loud' })
    expect(await child.ended).toEqual({ code: 0, output: '' })
  })
})

describe('the end', () => {
  test.each([
    ['ends by itself', ''],
    ['calls process.exit', 'process.exit(0)'],
    ['throws', "throw new Error('expected by the test')"],
  ])('a program that %s shows what waited, and is not kept alive', async (_how, end) => {
    const left = rude.left()
    const child = startChild(
      `${PRINT}
      import { readSync } from 'node:fs'
      roomhook.setLogger({ level: 'debug', sink: print })
      const socket = await roomhook.inferenceSocket({ service: 'stt', baseURL: args.url, ...args.keys, closeTimeoutMs: 20 })
      socket.close()
      // The record is written while this thread stands still.
      readSync(0, Buffer.alloc(1))
      ${end}`,
      { url: rude.url, keys },
    )
    await left
    child.tell('go')
    const { code, output } = await child.ended
    expect(records(output)).toEqual([{ level: 'debug', message: COMPLAINT, target: 'roomhook::net::ws' }])
    expect(code).toBe(end.startsWith('throw') ? 1 : 0)
  })

  test('records go to the thread that loaded roomhook first, and after its end to the next', async () => {
    const child = startChild(
      `import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      const source = (name) => \`(async () => {
        const { parentPort } = await import('node:worker_threads')
        const [root, inference] = \${JSON.stringify(args.built)}
        const roomhook = { ...(await import(root)), ...(await import(inference)) }
        const args = \${JSON.stringify(args)}
        roomhook.setLogger({ level: 'debug', sink: ({ message }) => parentPort.postMessage('\${name}: ' + message) })
        \${args.complain}
        parentPort.on('message', complain)
        parentPort.postMessage('ready')
      })()\`
      const start = async (name) => {
        const worker = new Worker(source(name), { eval: true })
        await once(worker, 'message')
        return worker
      }
      const [first, second] = [await start('first'), await start('second')]
      const told = async (worker) => {
        second.postMessage('complain')
        console.log((await once(worker, 'message'))[0])
      }
      await told(first)
      await first.terminate()
      await told(second)
      await second.terminate()`,
      { url: rude.url, complain: COMPLAIN, built },
      {},
      { load: false },
    )
    const { code, output } = await child.ended
    expect(output.trim().split('\n')).toEqual([`first: ${COMPLAINT}`, `second: ${COMPLAINT}`])
    expect(code).toBe(0)
  })
})
