// S0-15 for every client but `inferenceFetch` (fetch.test.ts): a chat model uses one token for its time and then a new one;
// a socket has one of its own.

import { afterEach, expect, test, vi } from 'vitest'
import { livekit } from '../../ts/ai.js'
import { inferenceSocket } from '../../ts/inference.js'
import { loadSdk } from '../support/ai-sdk.js'
import { type Gateway, startGateway } from '../support/gateway.js'

const provider = (gateway: Gateway) => livekit({ ...gateway.keys, baseURL: gateway.url })

type Client = (gateway: Gateway) => Promise<() => Promise<unknown>>

const chat: [string, Client][] = ([6, 7] as const).map((major) => [
  `a chat model with ai ${major}`,
  async (gateway) => {
    const [{ ai }, model] = [await loadSdk(major), provider(gateway)('m')]
    return () => ai.generateText({ model, prompt: 'hi' })
  },
])

const sockets: [string, Client][] = [
  [
    'inferenceSocket',
    async (gateway) => async () => {
      await using _socket = await inferenceSocket({ service: 'stt', baseURL: gateway.url, ...gateway.keys })
    },
  ],
  ...([6, 7] as const).map((major): [string, Client] => [
    `a speech model with ai ${major}`,
    async (gateway) => {
      const [{ generateSpeech }, model] = [await loadSdk(major), provider(gateway).speech('cartesia/sonic-3')]
      return () => generateSpeech({ model, text: 'Hi.' })
    },
  ]),
]

afterEach(() => {
  vi.useRealTimers()
})

function claims(authorization: string | undefined): Record<string, number> {
  return JSON.parse(Buffer.from(authorization?.split('.')[1] ?? '', 'base64url').toString())
}

test.each(chat)('S0-15: %s uses a token for its time and a new one after it', async (_name, open) => {
  await using gateway = await startGateway()
  const ask = await open(gateway)
  vi.useFakeTimers({ toFake: ['Date'] })
  gateway.now = Date.now
  await ask()
  vi.setSystemTime(Date.now() + 500_000)
  await ask()
  vi.setSystemTime(Date.now() + 101_000)
  await ask()
  const [first, second, third] = gateway.requests.map((request) => request.header('authorization'))
  expect(second).toBe(first)
  expect(third).not.toBe(first)
  for (const token of [first, third]) {
    const { exp = 0, nbf = 0, ...rest } = claims(token)
    expect(exp - nbf).toBe(600)
    expect(rest).toMatchObject({ sub: 'agent', inference: { perform: true } })
  }
  // The gateway refuses what is expired, so each of these was good when it came.
  for (const { status } of gateway.requests) expect([101, 200]).toContain(status)
})

test.each(sockets)(
  'S0-15: each connection of %s has a token of its own, good for 600 s from then',
  async (_name, open) => {
    await using gateway = await startGateway()
    const connect = await open(gateway)
    vi.useFakeTimers({ toFake: ['Date'] })
    gateway.now = Date.now
    await connect()
    vi.setSystemTime(Date.now() + 601_000)
    await connect()
    const tokens = gateway.requests.map((request) => request.header('authorization'))
    expect(gateway.requests.map(({ status }) => status)).toEqual([101, 101])
    expect(tokens[1]).not.toBe(tokens[0])
    for (const token of tokens) expect((claims(token).exp ?? 0) - (claims(token).nbf ?? 0)).toBe(600)
  },
)
