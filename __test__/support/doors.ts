// The three ways a webhook reaches an agent, each as a real server on a free port; and agents behind them.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import express from 'express'
import { type Agent, type AgentOptions, createAgent } from '../../ts/index.js'
import { SECRET } from './job-webhook.js'

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

/** Sends raw bytes and gives the head of the answer. */
export async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString()
    if (answer.includes('\r\n\r\n')) socket.destroy()
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

/** Agents behind one kind of door, until they are closed together. */
export class Openings {
  readonly #opened: AsyncDisposable[] = []

  constructor(readonly open: (agent: Agent) => Promise<Door>) {}

  /** An agent that does nothing with its jobs unless told otherwise, and its door. */
  async agent(options: Partial<AgentOptions>): Promise<{ agent: Agent; door: Door }> {
    const agent = createAgent({ secrets: SECRET, entry: () => {}, ...options })
    const door = await this.open(agent)
    this.#opened.push(door, agent)
    return { agent, door }
  }

  async close(): Promise<void> {
    for (const one of this.#opened.splice(0)) await one[Symbol.asyncDispose]()
  }
}
