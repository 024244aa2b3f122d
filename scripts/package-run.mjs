// Runs the README's first example and its dispatcher configuration as they stand, from an installed package, against a
// real livekit-server: one dispatch, one caller, one data message there and back. Called by package-test.mjs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LiveKitServer } from './livekit.mjs'
import { freeTcpPort } from './ports.mjs'

const [, , folder] = process.argv
const secret = 'a-webhook-secret-for-the-package-test'

// Only the port differs from the README, because 3000 may be taken here.
const port = await freeTcpPort()
for (const name of ['agent.mjs', 'roomhook.yaml']) {
  const file = join(folder, name)
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('3000', String(port)))
}

function start(args, env) {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ROOMHOOK_ENGINE_PATH: '', LIVEKIT_WEBHOOK_SECRET: secret, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.output = ''
  child.stdout.on('data', (chunk) => {
    child.output += chunk
  })
  return child
}

async function answers(url, status) {
  const deadline = Date.now() + 20_000
  for (;;) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.status === status) return
    if (Date.now() > deadline) throw new Error(`${url} did not answer ${status} within 20 s`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

const server = await LiveKitServer.start()
const statusPort = await freeTcpPort()
writeFileSync(
  join(folder, 'roomhook.yaml'),
  `${readFileSync(join(folder, 'roomhook.yaml'), 'utf8')}listen: 127.0.0.1:${statusPort}\n`,
)
const agent = start(['agent.mjs'])
const dispatcher = start(['node_modules/roomhook/dist/cli.js', 'dispatch', '--config', 'roomhook.yaml'], {
  LIVEKIT_URL: server.url,
  LIVEKIT_API_KEY: server.apiKey,
  LIVEKIT_API_SECRET: server.apiSecret,
})
let code = 1
try {
  await answers(`http://127.0.0.1:${port}/`, 405)
  await answers(`http://127.0.0.1:${statusPort}/ready`, 200)
  const { Room, RoomEvent, dispose } = await import('@livekit/rtc-node')
  const room = new Room()
  await room.connect(server.url, await server.token('caller', 'readme'))
  const joined = once(room, RoomEvent.ParticipantConnected)
  const dispatch = await server.dispatch('readme', 'echo')
  await joined
  const echoed = once(room, RoomEvent.DataReceived)
  await room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true, topic: 'readme' })
  const [payload] = await echoed
  if (new TextDecoder().decode(payload) !== 'hello') throw new Error('the echo was not what was sent')
  await room.disconnect()
  await dispose()
  process.stdout.write(`  the README's example served dispatch ${dispatch.id}\n`)
  code = 0
} catch (error) {
  process.stderr.write(
    `${error.stack}\nagent: ${agent.output}\ndispatcher: ${dispatcher.output}\n${server.log.slice(-2000)}\n`,
  )
} finally {
  await Promise.all([stop(agent), stop(dispatcher)])
  await server[Symbol.asyncDispose]()
}
process.exit(code)
