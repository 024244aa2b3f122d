// Every export and every method of what they make, called with everything that is wrong, open and closed: it works or it
// throws a RoomhookError with a code; it never throws something else, never aborts, and never leaves a promise rejected
// with nobody to see it. What each refuses exactly is in the test of its own part.

import { EventEmitter } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as ai from '../ts/ai.js'
import * as expressDoor from '../ts/express.js'
import * as roomhook from '../ts/index.js'
import { HeaderTurn } from '../ts/inference/turn.js'
import * as inference from '../ts/inference.js'
import * as webhook from '../ts/webhook.js'
import { startGateway } from './support/gateway.js'
import { CapturedLogs } from './support/logs.js'
import { LiveKitServer, roomName } from './support/server.js'

const WRONG: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  0.5,
  2 ** 53,
  Number.POSITIVE_INFINITY,
  '',
  'x',
  'a\0\ud800',
  true,
  [],
  {},
  { __proto__: null },
  Symbol('s'),
  10n,
  () => undefined,
  new Date(Number.NaN),
  new Uint8Array(0),
]

/** Errors that a call may end with: ours, with a code of the closed list. */
function expectOurs(error: unknown, what: string): void {
  // A stream keeps the platform's rules, and its errors, for being locked.
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ERR_INVALID_STATE') return
  if (roomhook.RoomhookError.isInstance(error)) return void expect(error.code, what).toMatch(/^[A-Z_]+$/)
  expect.fail(`${what} threw ${error instanceof Error ? error.stack : String(error)}`)
}

const shown = (args: readonly unknown[]) =>
  args.map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value))).join(', ')

/** Calls with nothing, with one wrong value in up to three places, and with it behind what may be right. */
async function callWrongly(name: string, call: (...args: unknown[]) => unknown): Promise<void> {
  for (const wrong of WRONG) {
    for (const args of [
      [wrong],
      [wrong, wrong],
      [wrong, wrong, wrong],
      ['x', wrong],
      [{}, wrong],
      [48_000, wrong, 1],
    ]) {
      const what = `${name}(${shown(args)})`
      try {
        const result = call(...args)
        // A promise that stays open is waiting, which is no answer to wrong arguments but no harm either.
        await Promise.race([result, new Promise((resolve) => setImmediate(() => setImmediate(resolve)))])
        if (!(result instanceof Promise)) continue
        result.catch((error) => expectOurs(error, what))
        // And once more, as if the `await` had been forgotten. What the AI SDK calls, it awaits.
        if (!/\.do[A-Z]/.test(name)) void call(...args)
      } catch (error) {
        expectOurs(error, what)
      }
    }
  }
}

const source = join(import.meta.dirname, '../ts')

/** Members marked `@internal`, which the published types do not have, and those only subclasses may call. */
const INTERNAL = new Set<string>()
for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue
  const text = readFileSync(join(source, file), 'utf8')
  const marked = /@internal(?:[^*]|\*(?!\/))*\*\/\s+(?:(?:static|async|readonly|get)\s+)*(\w+)/g
  const hidden = /^\s+(?:protected|private) (?:(?:static|async|readonly|get)\s+)*(\w+)/gm
  for (const [, name] of [...text.matchAll(marked), ...text.matchAll(hidden)]) INTERNAL.add(name as string)
}

/** Methods, and what getters give, from an object down to Node's and the language's own classes. */
async function useWrongly(name: string, object: object): Promise<void> {
  const seen = new Set<string>(['constructor'])
  const stop: unknown[] = [Object.prototype, EventEmitter.prototype, ReadableStream.prototype, Function.prototype]
  for (let level: object | null = Object.getPrototypeOf(object); level && !stop.includes(level); ) {
    // What ends the object comes last.
    const ends = /^(?:close|disconnect|cancel)$/
    const keys = Object.getOwnPropertyNames(level).sort((a, b) => Number(ends.test(a)) - Number(ends.test(b)))
    for (const key of keys) {
      if (seen.has(key) || INTERNAL.has(key)) continue
      seen.add(key)
      let member: unknown
      try {
        member = Reflect.get(level, key, object)
      } catch (error) {
        expectOurs(error, `${name}.${key}`)
      }
      if (typeof member !== 'function') continue
      await callWrongly(`${name}.${key}`, (...args) => Reflect.apply(member, object, args))
    }
    level = Object.getPrototypeOf(level)
  }
}

const secrets = 'a-webhook-secret-of-thirty-two-bytes!'
let server: LiveKitServer
let logs: CapturedLogs
const unseen: unknown[] = []
const onUnseen = (reason: unknown) => unseen.push(reason)

beforeAll(async () => {
  server = await LiveKitServer.start()
  process.on('unhandledRejection', onUnseen)
})

afterAll(async () => {
  process.off('unhandledRejection', onUnseen)
  logs[Symbol.dispose]()
  await server[Symbol.asyncDispose]()
})

beforeAll(() => {
  logs = new CapturedLogs()
})

const entries = Object.entries({ ...roomhook, ...webhook, ...inference, ...ai, ...expressDoor }).filter(
  ([, value]) => typeof value === 'function',
) as [string, (...args: unknown[]) => unknown][]
const isClass = (value: unknown): boolean => /^class\b/.test(Function.prototype.toString.call(value))
/** Errors are made by the package; others recognise them. */
const isError = (value: unknown): boolean => (value as { prototype?: unknown }).prototype instanceof Error

test.each(entries.filter(([, value]) => !isClass(value)))('%s', async (name, call) => {
  await callWrongly(name, call)
  for (const [key, member] of Object.entries(call)) {
    if (typeof member === 'function') await callWrongly(`${name}.${key}`, member as typeof call)
  }
  // `setLogger` was among them.
  logs = new CapturedLogs()
})

test.each(entries.filter(([, value]) => isClass(value)))('class %s', async (name, Class) => {
  if (!isError(Class)) await callWrongly(`new ${name}`, (...args) => Reflect.construct(Class, args))
  for (const key of Object.getOwnPropertyNames(Class)) {
    const member = Reflect.get(Class, key) as unknown
    if (typeof member === 'function' && key !== 'prototype') {
      await callWrongly(`${name}.${key}`, (...args) => Reflect.apply(member, Class, args))
    }
  }
})

/** Objects of every kind that the package makes, each as it is in use and again once it is over. */
describe('what they make', () => {
  test('an agent', async () => {
    const agent = roomhook.createAgent({ secrets, entry: () => {} })
    await useWrongly('agent', agent)
    await agent.close()
    await useWrongly('closed agent', agent)
  })

  test('a dispatcher', async () => {
    const livekit = { url: server.url, apiKey: server.apiKey, apiSecret: server.apiSecret }
    const endpoints = [{ url: 'http://127.0.0.1:9/', secret: secrets }]
    const agents: roomhook.DispatcherAgentOptions[] = [{ name: 'none', jobTypes: ['JT_ROOM'], endpoints }]
    const made = () => roomhook.createDispatcher({ livekit, listen: '127.0.0.1:0', store: ':memory:', agents })
    await useWrongly('dispatcher', made())
    const dispatcher = await made().start()
    await useWrongly('started dispatcher', dispatcher)
    await dispatcher.close()
    await useWrongly('closed dispatcher', dispatcher)
  })

  test('a verifier', async () => {
    const verifier = webhook.createWebhookVerifier({ secrets })
    await useWrongly('verifier', verifier)
    for (const [key, member] of Object.entries(verifier)) await callWrongly(`verifier.${key}`, member)
  })

  test('a room, its participant, its publication and track', async () => {
    await useWrongly('new room', new roomhook.Room())
    const room = new roomhook.Room()
    await room.connect(server.url, await server.token('agent', roomName()))
    const microphone = new roomhook.AudioSource(48_000, 1)
    const track = roomhook.LocalAudioTrack.createAudioTrack('voice', microphone)
    const publication = await room.localParticipant?.publishTrack(track)
    const parts = { room, participant: room.localParticipant as object, publication: publication as object, track }
    for (const [name, part] of Object.entries(parts)) await useWrongly(name, part)
    await room.disconnect()
    await microphone.close()
    for (const [name, part] of Object.entries(parts)) await useWrongly(`left ${name}`, part)
  })

  test('audio', async () => {
    const microphone = new roomhook.AudioSource(48_000, 1)
    const track = roomhook.LocalAudioTrack.createAudioTrack('voice', microphone)
    const stream = new roomhook.AudioStream(track)
    const frame = roomhook.AudioFrame.create(48_000, 1, 480)
    for (const [name, object] of Object.entries({ frame, stream, track, microphone })) await useWrongly(name, object)
    await microphone.close()
    for (const [name, object] of Object.entries({ stream, track, microphone }))
      await useWrongly(`closed ${name}`, object)
  })

  test('header hooks and turns', async () => {
    const hooks = inference.createHeaderHooks()
    await useWrongly('hooks', hooks)
    const turn = await hooks.begin({})
    expect(turn).toBeInstanceOf(HeaderTurn)
    await useWrongly('turn', turn)
  })

  test('an inference socket, and a fetch', async () => {
    await using gateway = await startGateway()
    const options = { baseURL: gateway.url, ...gateway.keys, retry: false } as const
    const socket = await inference.inferenceSocket({ service: 'stt', ...options })
    await useWrongly('socket', socket)
    await socket.close()
    await useWrongly('closed socket', socket)
    await callWrongly('fetch', inference.inferenceFetch(options) as (...args: unknown[]) => unknown)
  })

  test('the models of livekit() and what withHeaders wraps', async () => {
    await using gateway = await startGateway()
    const provider = ai.livekit({ ...gateway.keys, baseURL: gateway.url })
    for (const model of [provider('a/b'), provider.transcription('a/b'), provider.speech('a/b')]) {
      await useWrongly(model.modelId, model)
      await useWrongly(`wrapped ${model.modelId}`, ai.withHeaders(model))
    }
    await callWrongly('wrapped provider', ai.withHeaders(provider) as (...args: unknown[]) => unknown)
  })
})

test('F-R5: no promise of all these ended the process, though nobody awaited it', async () => {
  await new Promise((resolve) => setImmediate(resolve))
  for (const reason of unseen) expectOurs(reason, 'a promise that nobody has seen')
  expect(unseen).toEqual([])
})
