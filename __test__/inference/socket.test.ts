// inferenceSocket against the local gateway and against servers that refuse, stall and vanish.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { RoomhookError } from '../../ts/index.js'
import { createHeaderHooks, type InferenceSocketOptions, inferenceSocket } from '../../ts/inference.js'
import { type Gateway, startGateway } from '../support/gateway.js'
import { ServerSocket } from '../support/gateway-websocket.js'
import { attribution, runInJob, testJob } from '../support/inference-job.js'
import { CapturedLogs } from '../support/logs.js'

function open(gateway: Gateway, options: Partial<InferenceSocketOptions> = {}) {
  return inferenceSocket({
    service: 'stt',
    baseURL: gateway.url,
    ...gateway.keys,
    retry: { waitsMs: [0] },
    ...options,
  })
}

const keys = { apiKey: 'k', apiSecret: 's' }

/** A bare TCP server; `await using` closes it with its connections. */
async function tcpServer(handle: (socket: Socket) => void): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    handle(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A server that says back whatever it is told. */
async function echoServer(): Promise<{ url: string } & AsyncDisposable> {
  const server = createHttpServer()
  server.on('upgrade', (request, stream, head) => {
    const socket: ServerSocket = new ServerSocket(request, stream, head, {
      message: (data) => socket.send(data),
      close: () => undefined,
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((onResolve) => {
    resolve = onResolve
  })
  return { promise, resolve: () => resolve() }
}

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('on the wire', () => {
  test.each(['stt', 'tts', 'eot', 'bargein'] as const)(
    'S0-08: the upgrade to /%s carries the identical metadata set',
    async (service) => {
      await using gateway = await startGateway()
      vi.stubEnv('LIVEKIT_WORKER_TOKEN', 'worker-token')
      const options = {
        service,
        query: { model: 'deepgram/nova-3' },
        provider: 'deepgram',
        priority: 'low',
        headers: { 'X-Mine': '1' },
      } as const
      await using _socket = await runInJob(testJob(), () => open(gateway, options))
      const [request] = gateway.requests
      expect(request?.path).toBe(`/${service}?model=deepgram%2Fnova-3`)
      expect(request?.status).toBe(101)
      const transport = /^(?:host|connection|upgrade|sec-websocket-)/i
      const sent = request?.fields.filter(([name]) => !transport.test(name)) ?? []
      // The Rust client sends names in lower case; names are compared without regard to case everywhere.
      expect(Object.fromEntries(sent)).toEqual({
        'user-agent': expect.stringMatching(/^roomhook\//),
        'x-mine': '1',
        ...Object.fromEntries(attribution().map(([name, value]) => [name.toLowerCase(), value])),
        'x-livekit-worker-token': 'worker-token',
        'x-livekit-inference-provider': 'deepgram',
        'x-livekit-inference-priority': 'low',
        authorization: expect.stringMatching(/^Bearer /),
      })
    },
  )

  test('S0-09: a caller replaces neither the SDK’s headers nor those of the upgrade', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const headers = {
      'x-livekit-agent-id': 'canary',
      Authorization: 'canary',
      Host: 'canary',
      Connection: 'canary',
      'Sec-WebSocket-Key': 'canary',
      'X-Evil': 'canary\r\nX-More: 1',
      'x-a': '1',
    }
    await using _socket = await open(gateway, { job: testJob(), headers })
    const [request] = gateway.requests
    expect(request?.head).not.toMatch(/canary|x-more/i)
    for (const name of ['x-livekit-agent-id', 'authorization', 'host', 'connection', 'sec-websocket-key', 'x-a']) {
      expect(request?.count(name), name).toBe(1)
    }
    expect(logs.matching('warn')).toHaveLength(6)
    expect(logs.text()).not.toContain('canary')
  })

  test('S0-13: each attempt to connect has a fresh session id', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ status: 503, times: 2 })
    await using _socket = await open(gateway, { job: testJob(), sessionId: true })
    const ids = gateway.requests.map((request) => request.header('x-livekit-session-id'))
    expect(new Set(ids).size).toBe(3)
    for (const id of ids) expect(id).toMatch(/^inference_[0-9a-f]{12}$/)
  })

  test('headers of hooks are for requests to models: a socket carries none', async () => {
    await using gateway = await startGateway()
    const hooks = createHeaderHooks()
    hooks.on('before_llm_request', () => ({ headers: { 'X-Hook': '1' } }))
    await using _socket = await hooks.turn({}, () => open(gateway))
    expect(gateway.requests[0]?.count('x-hook')).toBe(0)
  })

  test('S0-16: sockets of concurrent jobs carry their own ids', async () => {
    await using gateway = await startGateway()
    const names = ['one', 'two', 'three']
    const connect = async (name: string) => {
      await new Promise((resolve) => setImmediate(resolve))
      const socket = await open(gateway, { query: { model: name } })
      await socket.close()
    }
    await Promise.all(names.map((name) => runInJob(testJob(name), () => connect(name))))
    const seen = gateway.requests.map((request) => [request.path, request.header('x-livekit-agent-id')])
    expect(seen.sort()).toEqual(names.map((name) => [`/stt?model=${name}`, `PA_${name}`]).sort())
  })
})

describe('messages', () => {
  test('a session of speech goes both ways and ends with the gateway’s close code', async () => {
    await using gateway = await startGateway()
    gateway.stt = { transcript: 'hello there', closeInstead: 4001 }
    await using socket = await open(gateway)
    expect(socket.send(JSON.stringify({ type: 'session.create', settings: {} }))).toBe(true)
    expect(JSON.parse(String(await socket.receive()))).toMatchObject({ type: 'session.created' })
    expect(socket.send(JSON.stringify({ type: 'session.finalize' }))).toBe(true)
    const rest: unknown[] = []
    for await (const message of socket) rest.push(message)
    expect(await socket.closed).toEqual({ by: 'peer', code: 4001 })
    expect(await socket.receive()).toBeUndefined()
    expect(socket.send('too late')).toBe(false)
    expect(await socket.ready()).toBe(false)
  })

  test('bytes arrive as bytes and text as text, whole and in order', async () => {
    await using server = await echoServer()
    await using socket = await inferenceSocket({ service: 'eot', baseURL: server.url, ...keys })
    const sent = [new Uint8Array([7]), 'zwölf ☃', new Uint8Array(70_000).fill(7), '', new Uint8Array(0)]
    expect(await socket.ready()).toBe(true)
    for (const message of sent) expect(socket.send(message)).toBe(true)
    const received: unknown[] = []
    for await (const message of socket) if (received.push(message) === sent.length) break
    expect(received.map((message) => (message instanceof Uint8Array ? new Uint8Array(message) : message))).toEqual(sent)
    expect(socket.droppedMessages).toBe(0)
  })

  test('a wait can be abandoned, and what comes after is the next wait’s', async () => {
    await using server = await echoServer()
    await using socket = await inferenceSocket({ service: 'eot', baseURL: server.url, ...keys })
    const abort = new AbortController()
    const waiting = socket.receive({ signal: abort.signal })
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED' })
    await expect(socket.ready({ signal: abort.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    for (const message of ['one', 'two']) socket.send(message)
    expect([await socket.receive(), await socket.receive({ signal: undefined })]).toEqual(['one', 'two'])
    for (const options of [null, 5, { signal: 5 }, { singal: abort.signal }]) {
      await expect(socket.receive(options as never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
      await expect(socket.ready(options as never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })

  test('a full queue refuses a message and counts it', async () => {
    // The server upgrades and never reads again.
    await using server = await tcpServer((socket) => upgrade(socket, () => socket.pause()))
    const socket = await inferenceSocket({ service: 'stt', baseURL: server.url, ...keys, sendQueue: 2, retry: false })
    const bytes = new Uint8Array(1 << 20)
    let refused = 0
    while (refused === 0) {
      if (!socket.send(bytes)) refused += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(socket.droppedMessages).toBe(1)
    await socket.close()
    expect(await socket.closed).toEqual({ by: 'local' })
  })
})

describe('bytes that wait', () => {
  test('the queue is bounded in bytes, and ready waits for room for the message that was refused', async () => {
    let server: Socket | undefined
    const connected = deferred()
    await using tcp = await tcpServer((socket) =>
      upgrade(socket, () => {
        server = socket.pause()
        connected.resolve()
      }),
    )
    const options = { service: 'stt', baseURL: tcp.url, ...keys, sendQueueBytes: 1 << 20, retry: false } as const
    const socket = await inferenceSocket(options)
    await connected.promise
    // The machine's buffers take some megabytes, the queue one: far from its 256 places.
    let accepted = 0
    while (socket.send(new Uint8Array(256 << 10))) accepted += 1
    expect(accepted).toBeLessThan(128)
    const large = 'x'.repeat(1 << 20)
    while (socket.send(large)) await new Promise((resolve) => setImmediate(resolve))
    expect(socket.droppedMessages).toBe(2)
    const ready = socket.ready()
    server?.resume()
    expect(await ready).toBe(true)
    expect(socket.send(large)).toBe(true)
    server?.destroy()
    await socket.close()
  })

  test('a message larger than the queue is a typed error that says so; an umlaut counts its bytes', async () => {
    await using gateway = await startGateway()
    await using socket = await open(gateway, { sendQueueBytes: 10 })
    for (const data of [new Uint8Array(11), 'ü'.repeat(6)]) {
      expect(() => socket.send(data)).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('queue of 10 bytes') }),
      )
    }
    expect(socket.send('"ü567890"')).toBe(true)
    expect(socket.droppedMessages).toBe(0)
  })
})

describe('attempts that fail', () => {
  test.each([
    [400, false],
    [403, false],
    [404, false],
    [408, true],
    [429, true],
    [499, true],
    [500, true],
    [503, true],
  ])('S0-12: an upgrade refused with %i surfaces its status, retryable: %s', async (status, retryable) => {
    await using gateway = await startGateway()
    gateway.faults.push({ status, times: 9 })
    const error = await open(gateway, { retry: false }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: 'ConnectionError',
      code: 'TRANSPORT_FAILED',
      retryable,
      details: { statusCode: status },
    })
    expect(gateway.requests).toHaveLength(1)
  })

  test('a refusal says when to come again and what the quota is, on the error and in the log', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    const headers = {
      'Retry-After': '61',
      'X-LiveKit-Inference-RPM-Limit': '60',
      'x-livekit-inference-rpm-used': '60',
      'X-Other': 'canary',
    }
    gateway.faults.push({ status: 429, headers })
    const error = await open(gateway, { retry: { waitsMs: [0] } }).catch((thrown: unknown) => thrown)
    // Longer than a retry waits: the first refusal is the answer, as it is over HTTP.
    expect(gateway.requests).toHaveLength(1)
    expect((error as RoomhookError).details).toEqual({
      statusCode: 429,
      retryAfterMs: 61_000,
      quota: { rpmLimit: 60, rpmUsed: 60 },
    })
    expect(logs.matching('warn', { rpmLimit: 60, rpmUsed: 60 })).toHaveLength(1)
    expect(logs.text() + JSON.stringify(error)).not.toContain('canary')
  })

  test('Retry-After lengthens the wait before the next attempt', async () => {
    await using gateway = await startGateway()
    using logs = new CapturedLogs()
    gateway.faults.push({ status: 503, headers: { 'Retry-After': '1' } })
    await using _socket = await open(gateway, { retry: { waitsMs: [0] } })
    expect(gateway.requests).toHaveLength(2)
    expect(logs.matching('info').map(({ fields }) => fields)).toEqual([{ attempt: 1, waitMs: 1000, status: 503 }])
  })

  test('one retry layer: three retries for what can heal, none for what cannot', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ status: 503, times: 4 }, { status: 403 })
    await expect(open(gateway)).rejects.toMatchObject({ details: { statusCode: 503 } })
    await expect(open(gateway)).rejects.toMatchObject({ details: { statusCode: 403 } })
    expect(gateway.requests).toHaveLength(5)
    gateway.faults.push({ status: 429, times: 3 })
    await using _socket = await open(gateway)
    expect(gateway.requests).toHaveLength(9)
  })

  test('a refused token is replaced once', async () => {
    await using gateway = await startGateway()
    gateway.faults.push({ status: 401 })
    await using _socket = await open(gateway)
    const tokens = gateway.requests.map((request) => request.header('authorization'))
    expect(new Set(tokens).size).toBe(2)
    const wrong = open(gateway, { apiSecret: 'another-secret-of-at-least-32-bytes' })
    await expect(wrong).rejects.toMatchObject({ details: { statusCode: 401 }, retryable: false })
    expect(gateway.requests).toHaveLength(4)
  })

  test('S0-12: a connect timeout is a timeout error and closes the TCP socket', async () => {
    const gone = deferred()
    await using server = await tcpServer((socket) => socket.on('close', gone.resolve).resume())
    const options = { service: 'stt', baseURL: server.url, ...keys, connectTimeoutMs: 50, retry: false } as const
    const error = await inferenceSocket(options).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: 'TimeoutError',
      code: 'TIMED_OUT',
      retryable: true,
      details: { timeoutMs: 50 },
    })
    expect(RoomhookError.isInstance(error)).toBe(true)
    await gone.promise
  })

  test.each([
    ['without a word', ''],
    ['with rubbish', 'hello\r\n\r\n'],
    ['in the middle of the answer', 'HTTP/1.1 101 Switching'],
    ['after an answer that is no upgrade', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    [
      'after an upgrade with a wrong key',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n',
    ],
  ])('a connection closed %s before it opened rejects', async (_how, answer) => {
    await using server = await tcpServer((socket) => socket.once('data', () => socket.end(answer)))
    const attempt = inferenceSocket({ service: 'stt', baseURL: server.url, ...keys, retry: false })
    await expect(attempt).rejects.toMatchObject({ name: 'ConnectionError', code: 'TRANSPORT_FAILED' })
  })

  test('nobody there: retried, then a ConnectionError', async () => {
    using logs = new CapturedLogs()
    const server = await tcpServer(() => undefined)
    const { url } = server
    await server[Symbol.asyncDispose]()
    const attempt = inferenceSocket({ service: 'stt', baseURL: url, ...keys, retry: { maxRetries: 2, waitsMs: [0] } })
    await expect(attempt).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', retryable: true })
    expect(logs.matching('info')).toHaveLength(2)
  })

  test('an abort ends the attempt and its connection', async () => {
    const reason = new Error('no longer needed')
    const [asked, gone] = [deferred(), deferred()]
    await using server = await tcpServer((socket) => socket.on('data', asked.resolve).on('close', gone.resolve))
    const abort = new AbortController()
    const attempt = inferenceSocket({ service: 'stt', baseURL: server.url, ...keys, signal: abort.signal })
    await asked.promise
    abort.abort(reason)
    await expect(attempt).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: reason })
    await gone.promise
    const late = inferenceSocket({ service: 'stt', baseURL: server.url, ...keys, signal: abort.signal })
    await expect(late).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
  })

  test('an abort ends the wait before a retry', async () => {
    await using gateway = await startGateway()
    using _logs = new CapturedLogs()
    gateway.faults.push({ status: 503, times: 9 })
    const abort = new AbortController()
    const pausing = open(gateway, { signal: abort.signal, retry: { waitsMs: [3_600_000] } })
    await gateway.request(0)
    abort.abort()
    await expect(pausing).rejects.toMatchObject({ code: 'ABORTED' })
    expect(gateway.requests).toHaveLength(1)
  })
})

describe('the end', () => {
  test('close sends its code and reason, and repeating it waits for the same end', async () => {
    await using gateway = await startGateway()
    const socket = await open(gateway)
    await Promise.all([socket.close(4000, 'done'), socket.close(), socket[Symbol.asyncDispose]()])
    expect(await gateway.requests[0]?.gone).toBe(4000)
    expect(await socket.closed).toEqual({ by: 'local' })
    expect(await socket.receive()).toBeUndefined()
    await socket.close()
  })

  test('close ends although the gateway never answers', async () => {
    await using server = await tcpServer((socket) => upgrade(socket, () => undefined))
    const socket = await inferenceSocket({ service: 'tts', baseURL: server.url, ...keys, closeTimeoutMs: 50 })
    await socket.close()
    expect(await socket.closed).toEqual({ by: 'local' })
  })

  test('a gateway that answers no ping is a timeout for the reader', async () => {
    await using server = await tcpServer((socket) => upgrade(socket, () => undefined))
    const limits = { pingIntervalMs: 20, pongTimeoutMs: 20 }
    const socket = await inferenceSocket({ service: 'tts', baseURL: server.url, ...keys, ...limits })
    await expect(socket.receive()).rejects.toMatchObject({ code: 'TIMED_OUT', retryable: true })
    expect(await socket.closed).toEqual({ by: 'silent' })
  })

  test('a gateway that breaks the protocol is a ConnectionError for the reader', async () => {
    await using server = await tcpServer((socket) => upgrade(socket, () => socket.write(Buffer.from([0xf1, 0x00]))))
    const socket = await inferenceSocket({ service: 'tts', baseURL: server.url, ...keys })
    await expect(socket.receive()).rejects.toMatchObject({ code: 'TRANSPORT_FAILED', retryable: true })
    await expect(socket[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
  })

  test('a gateway that vanishes ends the reading', async () => {
    await using server = await tcpServer((socket) => upgrade(socket, () => socket.destroy()))
    const socket = await inferenceSocket({ service: 'tts', baseURL: server.url, ...keys })
    expect(await socket.receive()).toBeUndefined()
    expect(await socket.closed).toEqual({ by: 'peer' })
  })
})

describe('wrong arguments', () => {
  test.each([
    [undefined],
    [null],
    [{}],
    [{ service: 'llm' }],
    [{ service: 'stt', path: '/x' }],
    [{ service: 'stt', query: { model: 5 } }],
    [{ service: 'stt', query: null }],
    [{ service: 'stt', headers: 5 }],
    [{ service: 'stt', connectTimeoutMs: -1 }],
    [{ service: 'stt', pingIntervalMs: Number.NaN }],
    [{ service: 'stt', sendQueue: 0 }],
    [{ service: 'stt', sendQueueBytes: 0 }],
    [{ service: 'stt', sendQueueBytes: 2 ** 27 }],
    [{ service: 'stt', maxMessageBytes: 1.5 }],
    [{ service: 'stt', priority: 'high' }],
    [{ service: 'stt', retry: null }],
    [{ service: 'stt', signal: {} }],
    [{ service: 'stt', baseURL: 'https://gateway.example/v1?x=1' }],
  ])('inferenceSocket(%j)', async (options) => {
    const given = typeof options === 'object' && options !== null ? { ...keys, ...options } : options
    const attempt = inferenceSocket(given as unknown as InferenceSocketOptions)
    await expect(attempt).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('messages and close codes', async () => {
    await using gateway = await startGateway()
    await using socket = await open(gateway)
    for (const data of [null, undefined, 5, {}, new ArrayBuffer(1), [1]]) {
      expect(() => socket.send(data as unknown as string)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    }
    for (const code of [0, 999, 1001, 1005, 2999, 5000, Number.NaN, null]) {
      await expect(socket.close(code as number)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
    await expect(socket.close(1000, 'x'.repeat(124))).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(socket.close(1000, 5 as unknown as string)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

/** Answers the upgrade correctly, then does whatever the test wants. */
function upgrade(socket: Socket, then: () => void): void {
  socket.once('data', (chunk: Buffer) => {
    const key = /sec-websocket-key: (\S+)/i.exec(chunk.toString())?.[1] ?? ''
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      then,
    )
  })
}
