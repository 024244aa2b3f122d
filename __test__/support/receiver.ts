// A webhook endpoint that answers as it is told, in order, and shows every request it got.

import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** One request as it came. */
export interface Received {
  headers: IncomingHttpHeaders
  raw: string
  body: Record<string, unknown>
}

/** What to answer: a status and a JSON body, or nothing ever. */
export type Reply = { status: number; body?: unknown } | 'hang'

/** A running endpoint. Once the replies are used up it accepts. */
export class Receiver implements AsyncDisposable {
  readonly requests: Received[] = []
  readonly #news = new EventEmitter()
  readonly #server = createServer(async (request, response) => {
    const reply = this.replies.shift() ?? { status: 200, body: { accepted: true } }
    const raw = await text(request)
    this.requests.push({ headers: request.headers, raw, body: JSON.parse(raw) as Record<string, unknown> })
    this.#news.emit('request')
    if (reply === 'hang') return
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(JSON.stringify(reply.body ?? {}))
  })

  private constructor(private readonly replies: Reply[]) {}

  static async start(replies: Reply[] = []): Promise<Receiver> {
    const receiver = new Receiver(replies)
    receiver.#server.listen(0, '127.0.0.1')
    await once(receiver.#server, 'listening')
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
  }

  /** The request with this number, from 1, as soon as it is there. */
  async request(number = 1): Promise<Received> {
    while (this.requests.length < number) await once(this.#news, 'request')
    return this.requests[number - 1] as Received
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
