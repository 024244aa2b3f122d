// The three ways a webhook reaches an agent, each as a real server on a free port.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import express from 'express'
import type { Agent } from '../../ts/index.js'

/** A server in front of an agent. */
export interface Door extends AsyncDisposable {
  readonly port: number
  readonly url: string
}

/** Serves a listener on loopback. */
export async function serve(listener: RequestListener): Promise<Door> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}/agent`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function toRequest(incoming: IncomingMessage): Request {
  const headers = new Headers()
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '')
  }
  const method = incoming.method ?? 'GET'
  const body = method === 'GET' || method === 'HEAD' ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>)
  return new Request(`http://localhost${incoming.url}`, { method, headers, body, duplex: 'half' })
}

/** As web-standard frameworks do: `Request` in, `Response` out, `fetch` handed on unbound. */
function fetchDoor(agent: Agent): Promise<Door> {
  const { fetch } = agent
  return serve(async (incoming, outgoing) => {
    const response = await fetch(toRequest(incoming))
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(await response.text())
  })
}

export const DOORS: readonly { name: string; open: (agent: Agent) => Promise<Door> }[] = [
  { name: 'fetch', open: fetchDoor },
  { name: 'express', open: (agent) => serve(express().all('/agent', agent.express())) },
  { name: 'node:http', open: (agent) => serve(agent.express()) },
]

/** Posts like a dispatcher. */
export function post(door: Door, webhook: { body: string; headers: Record<string, string> }): Promise<Response> {
  return fetch(door.url, { method: 'POST', ...webhook })
}
