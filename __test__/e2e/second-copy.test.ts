// Two copies of the package in one process, as two dependencies bring them: each has its own addon, and both join.

import { copyFileSync, cpSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startChild } from '../support/child.js'
import { LiveKitServer, roomName } from '../support/server.js'

const root = resolve(import.meta.dirname, '../..')
const platform = 'roomhook-linux-x64-gnu'
const addon = 'roomhook.linux-x64-gnu.node'
const library = 'liblivekit_ffi.so'
let folder: string
let server: LiveKitServer

/** A folder with the package and its platform package in it, as npm installs them. `place` puts the media library there. */
function installed(name: string, place: (to: string) => void): string {
  const modules = join(folder, name, 'node_modules')
  const core = join(modules, platform)
  mkdirSync(core, { recursive: true })
  copyFileSync(join(root, addon), join(core, addon))
  place(join(core, library))
  writeFileSync(join(core, 'package.json'), JSON.stringify({ name: platform, version: '0.1.0', main: addon }))
  const own = join(modules, 'roomhook')
  for (const part of ['dist', 'index.js', 'package.json'])
    cpSync(join(root, part), join(own, part), { recursive: true })
  return join(own, 'dist/index.js')
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'roomhook-copies-'))
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

test.each([
  ['with a media library each', false],
  ['with one file as the media library of both, as a package manager that links files installs it', true],
])(
  'F-R13: both copies of the package in one process join, %s',
  async (_, linked) => {
    const name = linked ? 'linked' : 'copied'
    const source = join(root, library)
    const first = installed(`${name}-1`, (to) => copyFileSync(source, to))
    const kept = join(folder, `${name}-1/node_modules`, platform, library)
    const second = installed(`${name}-2`, (to) => (linked ? linkSync(kept, to) : copyFileSync(source, to)))
    const room = roomName()
    const tokens = [await server.token('first', room), await server.token('second', room)]
    const child = startChild(
      `const rooms = []
    for (const [at, path] of args.copies.entries()) {
      const { Room } = await import(path)
      const room = new Room()
      await room.connect(args.url, args.tokens[at])
      rooms.push(room)
    }
    const heard = new Promise((resolve) => rooms[0].on('dataReceived', (data) => resolve(Buffer.from(data).toString())))
    await rooms[1].localParticipant.publishData(Buffer.from('hello'), { reliable: true })
    console.log('heard', await heard)
    for (const room of rooms) await room.disconnect()`,
      { copies: [first, second], url: server.url, tokens },
      { ROOMHOOK_ENGINE_PATH: '' },
      { load: false },
    )
    const { code, output } = await child.ended
    expect(output.trim()).toBe('heard hello')
    expect(code).toBe(0)
  },
  60_000,
)
