// The server's end of one WebSocket, as small as the tests need: text and binary messages, ping, close, cut.

import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** What a peer sent: the close code is 1005 where it named none. */
export interface ServerSocketEvents {
  message(data: string | Buffer): void
  close(code: number): void
}

/** One accepted upgrade. */
export class ServerSocket {
  readonly pongs: Buffer[] = []
  readonly #stream: Duplex
  readonly #events: ServerSocketEvents
  #buffer: Buffer = Buffer.alloc(0)
  #parts: Buffer[] = []
  #partsAreText = false
  #closed = false

  constructor(request: IncomingMessage, stream: Duplex, head: Buffer, events: ServerSocketEvents) {
    this.#stream = stream
    this.#events = events
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${MAGIC}`).digest('base64')
    stream.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    stream.on('data', (chunk: Buffer) => this.#read(chunk))
    // Sockets of Node's HTTP server stay half open: a peer that is gone without a goodbye only ever ends.
    stream.on('end', () => stream.end())
    stream.on('error', () => this.#end(1006))
    stream.on('close', () => this.#end(1006))
    if (head.length > 0) this.#read(head)
  }

  send(data: string | Uint8Array): void {
    this.#frame(typeof data === 'string' ? 1 : 2, Buffer.from(data))
  }

  ping(data = ''): void {
    this.#frame(9, Buffer.from(data))
  }

  close(code = 1000, reason = ''): void {
    const body = Buffer.alloc(2)
    body.writeUInt16BE(code)
    this.#frame(8, Buffer.concat([body, Buffer.from(reason)]))
  }

  /** Cuts the TCP connection without a word. */
  terminate(): void {
    this.#stream.destroy()
  }

  #frame(opcode: number, body: Buffer): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return
    const size = body.length < 126 ? [body.length] : body.length < 65536 ? [126, 0, 0] : [127, 0, 0, 0, 0, 0, 0, 0, 0]
    const head = Buffer.from([0x80 | opcode, ...size])
    if (head[1] === 126) head.writeUInt16BE(body.length, 2)
    if (head[1] === 127) head.writeBigUInt64BE(BigInt(body.length), 2)
    this.#stream.write(Buffer.concat([head, body]))
  }

  #end(code: number): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.close(code)
  }

  #read(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) this.#handle(frame)
  }

  #next(): { fin: boolean; opcode: number; body: Buffer } | undefined {
    const buffer = this.#buffer
    if (buffer.length < 2) return undefined
    const [first = 0, second = 0] = buffer
    let at = 2
    let length = second & 0x7f
    if (length === 126) {
      if (buffer.length < 4) return undefined
      length = buffer.readUInt16BE(2)
      at = 4
    } else if (length === 127) {
      if (buffer.length < 10) return undefined
      length = Number(buffer.readBigUInt64BE(2))
      at = 10
    }
    if (buffer.length < at + 4 + length) return undefined
    const mask = buffer.subarray(at, at + 4)
    const body = Buffer.from(buffer.subarray(at + 4, at + 4 + length))
    for (let i = 0; i < body.length; i++) body[i] = (body[i] ?? 0) ^ (mask[i & 3] ?? 0)
    this.#buffer = buffer.subarray(at + 4 + length)
    return { fin: (first & 0x80) !== 0, opcode: first & 0x0f, body }
  }

  #handle({ fin, opcode, body }: { fin: boolean; opcode: number; body: Buffer }): void {
    if (opcode === 8) {
      const code = body.length >= 2 ? body.readUInt16BE(0) : 1005
      this.#frame(8, body.subarray(0, 2))
      this.#stream.end()
      this.#end(code)
    } else if (opcode === 9) this.#frame(10, body)
    else if (opcode === 10) this.pongs.push(body)
    else {
      if (opcode !== 0) this.#partsAreText = opcode === 1
      this.#parts.push(body)
      if (!fin) return
      const whole = Buffer.concat(this.#parts)
      this.#parts = []
      this.#events.message(this.#partsAreText ? whole.toString() : whole)
    }
  }
}
