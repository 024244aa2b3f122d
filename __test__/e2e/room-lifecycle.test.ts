// What rooms leave behind: processes that end by themselves, nothing after twenty rooms, worker threads that die.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { DisconnectReason } from '../../ts/room/enums.js'
import type { RemoteParticipant } from '../../ts/room/participant.js'
import { Room } from '../../ts/room/room.js'
import { startChild } from '../support/child.js'
import { Peer } from '../support/peer.js'
import { LiveKitServer, roomName } from '../support/server.js'

let server: LiveKitServer

beforeAll(async () => {
  server = await LiveKitServer.start()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

async function place(name = roomName(), identity = 'child'): Promise<{ url: string; token: string; name: string }> {
  return { url: server.url, token: await server.token(identity, name), name }
}

test('a process ends by itself after its room is left, with nothing else disposed', async () => {
  const at = await place()
  await using peer = await Peer.join(server.url, await server.token('caller', at.name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const child = startChild(
    `const { AudioFrame, AudioSource, AudioStream, LocalAudioTrack, Room } = roomhook
    const room = new Room()
    const heard = new Promise((resolve) => room.on('trackSubscribed', async (track) => {
      const reader = new AudioStream(track).getReader()
      await reader.read()
      resolve()
    }))
    await room.connect(args.url, args.token)
    const source = new AudioSource(48000, 1)
    await room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', source))
    await source.captureFrame(AudioFrame.create(48000, 1, 4800))
    await heard
    await room.disconnect()
    console.log('left', await room.closed)`,
    at,
  )
  const { code, output } = await child.ended
  expect([code, output.trim()]).toEqual([0, 'left 1'])
})

test('an open room keeps its process alive until it is left by the other side', async () => {
  const at = await place()
  const child = startChild(
    `const room = new roomhook.Room()
    await room.connect(args.url, args.token)
    console.log('joined')
    room.on('disconnected', (reason) => console.log('left', reason))`,
    at,
  )
  await child.line('joined')
  await server.rooms.removeParticipant(at.name, 'child')
  const { code, output } = await child.ended
  expect([code, output.trim()]).toEqual([0, `joined\nleft ${DisconnectReason.PARTICIPANT_REMOVED}`])
})

test('a room that is never left dies with its process: exit, uncaught error, signal', async () => {
  const join = `const room = new roomhook.Room()
    await room.connect(args.url, args.token)
    console.log('joined')\n`
  for (const [end, expected] of [
    ['process.exit(3)', 3],
    ['setImmediate(() => { throw new Error("uncaught") })', 1],
    ["process.kill(process.pid, 'SIGTERM')", 'SIGTERM'],
  ] as const) {
    const { code, output } = await startChild(join + end, await place()).ended
    expect([code, output.startsWith('joined')]).toEqual([expected, true])
  }
})

test('a join that fails or is given up ends its process by itself', async () => {
  const { code, output } = await startChild(
    `const room = new roomhook.Room()
    const controller = new AbortController()
    const joining = room.connect('ws://127.0.0.1:1', 'a.b.c', { signal: controller.signal, joinRetries: 0 })
    const failing = new roomhook.Room().connect('ws://127.0.0.1:1', 'a.b.c', { joinRetries: 0 })
    controller.abort()
    console.log((await joining.catch((error) => error)).code, (await failing.catch((error) => error)).code)`,
  ).ended
  expect([code, output.trim()]).toEqual([0, 'ABORTED ROOM_CONNECT_FAILED'])
})

/** The threads that are there in addition. Those of a pool may be fewer: it ends the idle ones. */
function more(after: string[], before: string[]): string[] {
  const rest = [...before]
  return after.filter((name) => {
    const at = rest.indexOf(name)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

test('twenty rooms leave no thread, no file, no handle and less than 1 MB each behind', async () => {
  const name = roomName()
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  const tokens = await Promise.all(Array.from({ length: 30 }, (_, n) => server.token(`child-${n}`, name)))
  const child = startChild(
    `import { readdirSync, readFileSync } from 'node:fs'
    const { AudioFrame, AudioSource, AudioStream, LocalAudioTrack, Room } = roomhook
    const { native } = await import(args.native)
    let visits = 0
    async function visit(token) {
      const room = new Room()
      const heard = new Promise((resolve) => room.on('trackSubscribed', async (track) => {
        for await (const frame of new AudioStream(track)) { resolve(); break }
      }))
      // Named by address: threads that look names up outlive a room by the resolver's patience.
      await room.connect(args.url, token, { rtcConfig: { iceServers: [{ urls: ['stun:127.0.0.1:9'] }] } })
      await heard
      const source = new AudioSource(48000, 1)
      const publishing = room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', source))
      // Leaving at once may come before it.
      const published = publishing.catch((error) => { if (error.code !== 'ROOM_DISCONNECTED') throw error })
      // Left in the midst of publishing, while the track is there, while it is taken back, and after that.
      const stage = visits++ % 4
      if (stage > 0) await publishing
      if (stage > 1) await source.captureFrame(AudioFrame.create(48000, 1, 4800))
      const back = stage > 1 ? room.localParticipant.unpublishTrack((await publishing).sid) : undefined
      if (stage > 2) await back
      await room.disconnect()
      await Promise.all([published, back])
    }
    const names = () => readdirSync('/proc/self/task').flatMap((task) => {
      try { return [readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim()] } catch { return [] }
    }).sort()
    const ofRooms = /^(AudioEncoder|AudioSourceCapt|DecodingQueue|IncomingVideoSt)/
    const now = () => {
      globalThis.gc()
      const threads = names()
      return {
        threads,
        files: readdirSync('/proc/self/fd').length,
        handles: native.openEngineHandles(),
        rest: !threads.some((name) => ofRooms.test(name)) && threads.filter((name) => name === 'network_thread').length <= 1,
      }
    }
    // Nobody tells when a thread of the library has ended; it may wait ten seconds for a server's last word.
    async function settled(right) {
      const end = performance.now() + 30_000
      for (;;) {
        const found = now()
        if ((found.rest && found.handles === 0 && right(found)) || performance.now() > end) return found
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    const more = ${more}
    const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
    for (const token of args.tokens.slice(0, 10)) await visit(token)
    const before = { ...await settled(() => true), rss: rss() }
    for (const token of args.tokens.slice(10)) await visit(token)
    const same = (found) => more(found.threads, before.threads).length === 0 && found.files <= before.files
    const after = { ...await settled(same), rss: rss() }
    console.log('measured', JSON.stringify({ before, after }))`,
    { url: server.url, tokens, native: new URL('../../dist/base/native.js', import.meta.url).pathname },
  )
  const { before, after } = JSON.parse(await child.line('measured'))
  expect((await child.ended).code).toBe(0)
  expect([before.handles, after.handles]).toEqual([0, 0])
  expect(more(after.threads, before.threads)).toEqual([])
  expect(after.files).toBeLessThanOrEqual(before.files)
  expect((after.rss - before.rss) / 20).toBeLessThan(1)
}, 120_000)

test('several worker threads hold rooms of their own, and one that dies leaves its room', async () => {
  const name = roomName()
  await using room = new Room()
  await room.connect(server.url, await server.token('watcher', name))
  const first = (event: 'participantConnected' | 'participantDisconnected') =>
    new Promise<RemoteParticipant>((resolve) => {
      room.on(event, (participant) => participant.identity === 'w0' && resolve(participant))
    })
  const came = first('participantConnected')
  const left = first('participantDisconnected')
  const child = startChild(
    `import { Worker } from 'node:worker_threads'
    const program = \`
      const { parentPort, workerData } = require('node:worker_threads')
      import(workerData.built).then(async ({ Room, AudioStream }) => {
        const room = new Room()
        room.on('trackSubscribed', async (track) => {
          for await (const frame of new AudioStream(track)) { parentPort.postMessage('heard'); break }
        })
        room.on('dataReceived', () => room.disconnect())
        await room.connect(workerData.url, workerData.token)
        parentPort.postMessage('joined')
      })\`
    const workers = await Promise.all(args.tokens.map(async (token) => {
      const worker = new Worker(program, { eval: true, execArgv: [], workerData: { ...args, token } })
      const heard = new Promise((resolve) => worker.on('message', (message) => message === 'heard' && resolve()))
      await heard
      return worker
    }))
    console.log('hearing')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    process.stdin.destroy()
    await workers[0].terminate()
    console.log('terminated')
    await Promise.all(workers.slice(1).map((worker) => new Promise((resolve) => worker.on('exit', resolve))))
    console.log('ended')`,
    {
      url: server.url,
      tokens: await Promise.all(['w0', 'w1', 'w2'].map((identity) => server.token(identity, name))),
      built: new URL('../../dist/index.js', import.meta.url).pathname,
    },
  )
  await using peer = await Peer.join(server.url, await server.token('caller', name))
  await peer.call('publishTone', { frequency: 440, peak: 8000 })
  await child.line('hearing')
  // The server announces who publishes nothing in batches, and never who is gone by then.
  await came
  child.tell('go')
  await child.line('terminated')
  expect((await left).disconnectReason).toBe(DisconnectReason.CLIENT_INITIATED)
  await room.localParticipant?.publishData(new TextEncoder().encode('end'), { reliable: true })
  await child.line('ended')
  expect((await child.ended).code).toBe(0)
})
