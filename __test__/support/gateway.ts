// A local inference gateway for tests: judges tokens, answers chat, /stt and /tts, records the bytes on the wire, and
// fails on request. It knows nothing of the code it tests.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { answerChat, type ChatBody, type ChatReply } from './gateway-chat.js'
import {
  type RecordedSession,
  type SessionMessage,
  type SttScript,
  sttSession,
  type TtsScript,
  ttsSession,
} from './gateway-speech.js'
import { type GatewayKeys, judgeGatewayToken } from './gateway-token.js'
import { answerVendor } from './gateway-vendor.js'
import { ServerSocket } from './gateway-websocket.js'
import { rememberSent } from './sent-headers.js'

/** One request or upgrade as it was on the wire. */
export interface RecordedRequest {
  method: string
  /** Path and query below the base URL: `/chat/completions`, `/stt?model=…`. */
  path: string
  /** The request line and the header lines, without the empty line that ends them. */
  head: string
  /** Header fields in their order and spelling. */
  fields: [name: string, value: string][]
  /** The value of a field, whatever its case; undefined where there is none. */
  header(name: string): string | undefined
  /** How many fields have this name, whatever the case. */
  count(name: string): number
  /** The body, parsed where it is JSON. */
  body: unknown
  /** What the gateway answered. */
  status: number
  /** The session of a socket. */
  session?: RecordedSession
  /** Resolves when the connection under this request is gone; a socket's close code, or 0. */
  gone: Promise<number>
}

/** One way to fail: used up by `times` requests (default 1) whose path starts with `path` (default any). */
export interface Fault {
  path?: string
  times?: number
  status?: number
  headers?: Record<string, string>
  /** The body, also of a status 200: JSON, or a text as it is; default an OpenAI-style error, of an upgrade none. */
  body?: object | string
  /** Answer only after this. */
  hold?: Promise<unknown>
  /** Close the TCP connection without an answer. */
  hangUp?: boolean
}

/** What the model says next: a reply, or a function of the request's body and number (from 0). */
export type ChatScript = ChatReply | ((body: ChatBody, index: number) => ChatReply)

type Judged = { request: RecordedRequest; fault: Fault | undefined; status: number }

/** See {@link startGateway}. */
export class Gateway implements AsyncDisposable {
  readonly keys: GatewayKeys = { apiKey: 'gateway-key', apiSecret: 'gateway-secret-of-at-least-32-bytes' }
  readonly requests: RecordedRequest[] = []
  readonly faults: Fault[] = []
  chat: ChatScript = { text: ['Hello', ' there', '.'] }
  stt: SttScript = { transcript: 'hello world' }
  tts: TtsScript = {}
  /** The gateway's clock, epoch ms. */
  now: () => number = Date.now
  /** Tokens that are refused from now on although they are valid. */
  readonly revoked = new Set<string>()
  /** How many TCP connections were ever accepted. */
  accepted = 0
  /** Judge tokens. Off for a vendor that has keys of its own. */
  judge = true

  readonly #server = createServer((request, response) => void this.#http(request, response))
  readonly #sockets = new Set<Socket>()
  readonly #bytes = new WeakMap<Duplex, { buffer: string }>()
  readonly #watchers = new Set<() => void>()
  #chats = 0

  /** The base URL, `/v1` included. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async listen(): Promise<this> {
    this.#server.on('connection', (socket) => {
      this.accepted++
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      const seen = { buffer: '' }
      this.#bytes.set(socket, seen)
      socket.prependListener('data', (chunk: Buffer) => {
        seen.buffer += chunk.toString('latin1')
      })
    })
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  /** Resolves with the nth request (from 0) whose path starts with `path`, once it is there. */
  async request(index: number, path = '/'): Promise<RecordedRequest> {
    for (;;) {
      const found = this.requests.filter((request) => request.path.startsWith(path))[index]
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        const watch = () => {
          this.#watchers.delete(watch)
          resolve()
        }
        this.#watchers.add(watch)
      })
    }
  }

  /** How many TCP connections are open. */
  get connections(): number {
    return this.#sockets.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #record(request: IncomingMessage): RecordedRequest {
    const seen = this.#bytes.get(request.socket)
    const head = seen?.buffer.split('\r\n\r\n', 1)[0] ?? ''
    const fields: [string, string][] = []
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      fields.push([request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? ''])
    }
    rememberSent(fields)
    const named = (name: string) => fields.filter(([field]) => field.toLowerCase() === name.toLowerCase())
    return {
      method: request.method ?? '',
      path: (request.url ?? '').replace(/^\/v1/, ''),
      head,
      fields,
      header: (name) => named(name)[0]?.[1],
      count: (name) => named(name).length,
      body: undefined,
      status: 0,
      gone: new Promise((resolve) => request.socket.once('close', () => resolve(0))),
    }
  }

  /** Records a request, and decides its status: a fault first, then its token. */
  #decide(recorded: RecordedRequest): Judged {
    const fault = this.faults.find((entry) => recorded.path.startsWith(entry.path ?? '/'))
    if (fault !== undefined) {
      fault.times = (fault.times ?? 1) - 1
      if (fault.times <= 0) this.faults.splice(this.faults.indexOf(fault), 1)
    }
    const authorization = recorded.header('authorization')
    const bad =
      this.judge &&
      ('refused' in judgeGatewayToken(authorization, this.keys, this.now()) || this.revoked.has(authorization ?? ''))
    return { request: recorded, fault, status: fault?.status ?? (bad ? 401 : 200) }
  }

  #publish(recorded: RecordedRequest, status: number): void {
    recorded.status = status
    this.requests.push(recorded)
    for (const watch of [...this.#watchers]) watch()
  }

  async #http(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const recorded = this.#record(request)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const seen = this.#bytes.get(request.socket)
    if (seen !== undefined) seen.buffer = ''
    const text = Buffer.concat(chunks).toString()
    const isJson = request.headers['content-type']?.startsWith('application/json') === true && text !== ''
    recorded.body = isJson ? JSON.parse(text) : text
    const { fault, status } = this.#decide(recorded)
    this.#publish(recorded, status)
    if (fault?.hold !== undefined) await fault.hold
    if (fault?.hangUp === true) {
      response.destroy()
      return
    }
    if (status !== 200 || fault?.body !== undefined) {
      const body = fault?.body ?? {
        error: { message: `status ${status}`, type: 'gateway_error', code: 'told_to_fail' },
      }
      const type = typeof body === 'string' ? 'text/plain' : 'application/json'
      response.writeHead(status, { 'content-type': type, ...fault?.headers }).end(textOf(body))
      return
    }
    const path = recorded.path.split('?', 1)[0] ?? ''
    if (path === '/chat/completions') {
      const body = recorded.body as ChatBody
      const index = this.#chats++
      await answerChat(response, body, typeof this.chat === 'function' ? this.chat(body, index) : this.chat)
    } else if (!answerVendor(response, path, (isJson ? recorded.body : {}) as Record<string, unknown>)) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such path"}}')
    }
  }

  async #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const recorded = this.#record(request)
    let gone = (_code: number): void => {}
    recorded.gone = new Promise((resolve) => {
      gone = resolve
    })
    stream.once('close', () => gone(0))
    stream.on('error', () => {})
    const { fault, status } = this.#decide(recorded)
    this.#publish(recorded, status === 200 ? 101 : status)
    if (fault?.hold !== undefined) await fault.hold
    if (fault?.hangUp === true) {
      stream.destroy()
      return
    }
    if (status !== 200) {
      const fields = Object.entries(fault?.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
      const body = textOf(fault?.body ?? '')
      const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`
      const head = `HTTP/1.1 ${status} Refused\r\n${length}Connection: close\r\n${fields.join('')}\r\n`
      stream.end(head + body)
      return
    }
    const session: RecordedSession = { messages: [], audioBytes: 0, text: '' }
    recorded.session = session
    let react = (_message: SessionMessage): void => {}
    const socket = new ServerSocket(request, stream, head, {
      message: (data) => {
        try {
          react(JSON.parse(data.toString()) as SessionMessage)
        } catch {
          socket.close(1007)
        }
      },
      close: (code) => gone(code),
    })
    react = recorded.path.startsWith('/tts')
      ? ttsSession(socket, this.tts, session)
      : sttSession(socket, this.stt, session)
  }
}

function textOf(body: object | string): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

/** A gateway on a free port of the loopback interface; `await using` closes it. */
export function startGateway(): Promise<Gateway> {
  return new Gateway().listen()
}
