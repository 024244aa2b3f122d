// Free loopback ports for servers that cannot be told to use port 0. They are below the range from which the system gives
// ports to outgoing connections, one of which could otherwise take the port before the server binds it.

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

const candidate = () => randomInt(10_000, 32_000)

/**
 * A TCP port that is free right now.
 * @returns {Promise<number>}
 */
export function freeTcpPort() {
  return new Promise((resolve) => {
    const server = createServer()
    const listen = () => server.listen(candidate(), '127.0.0.1')
    server.on('error', listen)
    server.once('listening', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
      server.close(() => resolve(port))
    })
    listen()
  })
}

/**
 * A UDP port that is free right now.
 * @returns {Promise<number>}
 */
export function freeUdpPort() {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    const bind = () => socket.bind(candidate(), '127.0.0.1')
    socket.on('error', bind)
    socket.once('listening', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
    bind()
  })
}
