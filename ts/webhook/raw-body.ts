// A signature is over the received bytes. What counts as them, and what to do in each framework when somebody else has
// read them: the texts of `RAW_BODY_UNAVAILABLE` and of a handler that was mounted in the wrong place.

import { Buffer } from 'node:buffer'
import { isArrayBuffer, isUint8Array } from 'node:util/types'
import { ConfigError, WebhookError } from '../base/errors.js'
import { kindOf } from '../base/options.js'

const BYTES =
  'Express: express.raw({ type: "*/*" }) on this route, before any express.json(). ' +
  'Fetch, Hono, Next: await request.arrayBuffer(). ' +
  'Fastify: addContentTypeParser("application/json", { parseAs: "buffer" }, (_, body, done) => done(null, body)). ' +
  'Lambda: Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8").'

const UNREAD =
  "Express: mount express.json() and the like after the agent's route, or keep the bytes with its option verify: " +
  '(req, res, buffer) => { req.rawBody = buffer }. ' +
  'Fastify: keep them in the parser of this route: addContentTypeParser("application/json", { parseAs: "buffer" }, ' +
  '(request, body, done) => { request.raw.rawBody = body; done(null, body) }). ' +
  'Hono, Next and other fetch servers: hand agent.fetch the request before anything reads it, or a copy: ' +
  'agent.fetch(new Request(request, { body: bytes })). ' +
  'Lambda and the like: set request.rawBody to the received bytes.'

const MOUNTING =
  'Express and node:http: app.post(path, agent.express()). ' +
  'Fastify: a route of its own scope with addContentTypeParser("application/json", (request, payload, done) => ' +
  'done(null)) and the handler (request, reply) => { reply.hijack(); agent.express()(request.raw, reply.raw) }. ' +
  'Koa: (context) => { context.respond = false; agent.express()(context.req, context.res) }. ' +
  'Hono: (context) => agent.fetch(context.req.raw). ' +
  'Next and other servers with a web Request: agent.fetch(request).'

/** The bytes of a body, whichever of JavaScript's types holds them. */
export function rawBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  if (isUint8Array(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (isArrayBuffer(body)) return Buffer.from(body)
  throw new WebhookError(
    'RAW_BODY_UNAVAILABLE',
    `the body must be the received bytes (a Uint8Array), got ${kindOf(body)}: a signature covers bytes, and parsing and ` +
      `writing them again changes them. ${BYTES}`,
  )
}

/** The error of a body that somebody read before the agent, who needs its bytes. */
export function bodyWasRead(): WebhookError {
  return new WebhookError(
    'RAW_BODY_UNAVAILABLE',
    `the body was read before the agent saw it, and a signature is over its raw bytes. ${UNREAD}`,
  )
}

/** The error of a handler that was given another framework's objects. */
export function wrongMount(expected: string, given: unknown): ConfigError {
  return new ConfigError('CONFIG_INVALID', `the agent's handler needs ${expected}, got ${kindOf(given)}. ${MOUNTING}`)
}
