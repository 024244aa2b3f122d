// The agent as its user holds it: the receiver with its doors, one for web `Request`s and one for Node.

import { handleRequest } from './handler.js'
import { type NodeHandler, nodeHandler } from './node-http.js'
import type { AgentOptions } from './options.js'
import { Receiver } from './receiver.js'

/** An agent that is launched by webhooks. Make one with `createAgent`. */
export class Agent extends Receiver {
  /**
   * Answers a webhook that came as a web `Request`. Whatever the request, it never rejects; what is no `Request` at all is
   * a `ConfigError`, `CONFIG_INVALID`. It can be handed on by itself:
   * `export const POST = agent.fetch`.
   */
  readonly fetch = (request: Request): Promise<Response> => handleRequest(this, request)

  /**
   * The handler for an Express route. It reads the raw body by itself: mount
   * no body parser on its route, or one that keeps the bytes in `request.rawBody`.
   */
  express(): NodeHandler {
    return nodeHandler(this)
  }

  /** The same for a `node:http` server: `createServer(agent.node())`. */
  node(): NodeHandler {
    return nodeHandler(this)
  }
}

/**
 * Makes an agent. It opens nothing: give its `fetch` or `express()` to your server.
 *
 * @throws {ConfigError} `CONFIG_INVALID` for a wrong option, a missing or short secret included.
 */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options)
}
