// What a socket does to the life of its process and of a worker thread. Plain JavaScript on the native binding in child
// processes: the process under test must not be the test runner's.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startGateway } from '../support/gateway.js'

const binding = new URL('../../index.js', import.meta.url).href

const opening = (url: string) => `
  const { InferenceSocketHandle } = await import(${JSON.stringify(binding)})
  const limits = { connectTimeoutMs: 5000, writeTimeoutMs: 5000, closeTimeoutMs: 500, pingIntervalMs: 5000,
    pongTimeoutMs: 5000, maxMessageBytes: 1024, sendQueue: 8, sendQueueBytes: 4096, receiveQueue: 8 }
  const handle = new InferenceSocketHandle({ url: ${JSON.stringify(url)}, headers: [], ...limits })
  const opened = await handle.open(() => undefined)
  if (opened.kind !== 'open') throw new Error(opened.kind)
  const ended = handle.ended()
`

/** Runs a module in a process of its own; resolves with its exit code. */
async function run(source: string, onLine: (line: string) => void = () => undefined): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => onLine(text.trim()))
  const [code] = (await once(child, 'exit')) as [number | null]
  return code
}

test('a closed socket lets the process exit by itself', async () => {
  await using gateway = await startGateway()
  gateway.judge = false
  const url = `${gateway.url.replace('http', 'ws')}/stt`
  expect(await run(`${opening(url)} await handle.close(1000, '')`)).toBe(0)
  expect(await gateway.requests[0]?.gone).toBe(1000)
})

test('an open socket keeps the process alive until the gateway closes it', async () => {
  await using gateway = await startGateway()
  gateway.judge = false
  gateway.stt = { transcript: '', closeInstead: 4001 }
  const url = `${gateway.url.replace('http', 'ws')}/stt`
  const source = `${opening(url)}
    handle.sendText(JSON.stringify({ type: 'session.finalize' }))
    ended.then(({ by, code }) => console.log(by, code))`
  const said: string[] = []
  expect(await run(source, (line) => said.push(line))).toBe(0)
  expect(said).toEqual(['peer 4001'])
})

test.each([
  ['is terminated', '', 'await worker.terminate()'],
  ['exits', 'process.exit(0)', 'await exited'],
  ['throws', "setImmediate(() => { throw new Error('expected by the test') })", 'await exited'],
])('a worker thread that %s takes its open socket along', async (_how, atOnce, afterwards) => {
  await using gateway = await startGateway()
  gateway.judge = false
  const url = `${gateway.url.replace('http', 'ws')}/stt`
  const inside = `(async () => {
    ${opening(url)}
    const { parentPort } = await import('node:worker_threads')
    parentPort.postMessage('open')
    ${atOnce}
  })()`
  // The main thread has loaded the addon too: its runtime lives on, and only the end of the thread can cut the socket.
  const source = `
    await import(${JSON.stringify(binding)})
    const { Worker } = await import('node:worker_threads')
    const worker = new Worker(${JSON.stringify(inside)}, { eval: true })
    worker.on('error', () => undefined)
    const exited = new Promise((resolve) => worker.once('exit', resolve))
    await new Promise((resolve) => worker.once('message', resolve))
    ${afterwards}
    process.stdout.write('ended')
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
    expect(String(said)).toBe('ended')
    await gateway.requests[0]?.gone
    expect(child.exitCode).toBeNull()
  } finally {
    child.kill('SIGKILL')
  }
})
