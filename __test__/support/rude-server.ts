// A WebSocket server that never says a word, goodbye included: whoever closes a socket to it makes the core write a log
// record.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** What the core writes, at debug level. */
export const COMPLAINT = 'the peer did not answer the close in time; the socket is closed anyway'

/** Accepts every socket; tells when a client has gone. */
export class RudeServer implements AsyncDisposable {
  readonly #server = createServer()
  readonly #streams = new Set<Duplex>()
  #gone = (): void => undefined
  url = ''

  static async start(): Promise<RudeServer> {
    const rude = new RudeServer()
    rude.#server.on('upgrade', (request, stream) => {
      rude.#streams.add(stream)
      const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
      const accept = createHash('sha1').update(key).digest('base64')
      const answer = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
      stream.write(`${[...answer, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`)
      stream.on('error', () => undefined)
      stream.resume().on('end', () => {
        stream.destroy()
        rude.#gone()
      })
    })
    rude.#server.listen(0, '127.0.0.1')
    await once(rude.#server, 'listening')
    rude.url = `http://127.0.0.1:${(rude.#server.address() as AddressInfo).port}`
    return rude
  }

  /** Resolves when the next client has gone. */
  left(): Promise<void> {
    return new Promise((resolve) => {
      this.#gone = resolve
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
