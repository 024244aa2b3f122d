// `roomhook/express`: the agent's door for Express as a function, and the types of its handler.

import type { Agent } from './agent/agent.js'
import type { NodeHandler } from './agent/node-http.js'
import { Receiver } from './agent/receiver.js'
import { invalid } from './base/options.js'

export type { NodeHandler } from './agent/node-http.js'

/**
 * The handler of an agent for an Express route: `app.post('/livekit/agent', expressHandler(agent))`, the same as
 * `agent.express()`.
 *
 * @throws {ConfigError} `CONFIG_INVALID` if it is not an agent.
 */
export function expressHandler(agent: Agent): NodeHandler {
  if (!(agent instanceof Receiver)) throw invalid('agent', 'an agent made by createAgent', agent)
  return agent.express()
}
