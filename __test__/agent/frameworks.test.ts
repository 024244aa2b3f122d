// An agent behind other frameworks, adapters and middleware, over real sockets: what they leave of a request still works,
// or the answer is 500 and the log says what to do. A request that ends the process fails the whole file.

import { EventEmitter, once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { serve as serveHono } from '@hono/node-server'
import express, { type RequestHandler } from 'express'
import fastify, { type FastifyInstance } from 'fastify'
import { type Context, Hono } from 'hono'
import serverless from 'serverless-http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Agent, createAgent } from '../../ts/index.js'
import { type Door, post, serve } from '../support/doors.js'
import { type JobWebhook, jobBody, SECRET, sign } from '../support/job-webhook.js'
import { CapturedLogs } from '../support/logs.js'
import { StatusDesk } from '../support/status-desk.js'

let desk: StatusDesk
let agent: Agent

beforeAll(async () => {
  desk = await StatusDesk.open()
  agent = createAgent({ secrets: SECRET, entry: () => {}, statusUrl: desk.url, maxBodyBytes: 50_000 })
})

afterAll(async () => {
  await agent.close()
  await desk[Symbol.asyncDispose]()
})

const signed = async (): Promise<JobWebhook> => sign(await jobBody({ metadata: 'ä😀 & b' }))
const unsigned = { body: '{}', headers: { 'content-type': 'application/json' } }

function behind(...middleware: RequestHandler[]): Promise<Door> {
  return serve(express().post('/agent', ...middleware, agent.express()))
}

async function fastifyDoor(mount: (app: FastifyInstance) => void): Promise<Door> {
  const app = fastify()
  mount(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return {
    port,
    url: `http://127.0.0.1:${port}/agent`,
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

async function honoDoor(handler: (context: Context) => Response | Promise<Response>): Promise<Door> {
  const server = serveHono({ fetch: new Hono().post('/agent', handler).fetch, port: 0, hostname: '127.0.0.1' })
  if (!server.listening) await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    port,
    url: `http://127.0.0.1:${port}/agent`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}

const statuses = async (door: Door): Promise<number[]> => [
  (await post(door, await signed())).status,
  (await post(door, unsigned)).status,
]

describe('F-W1: a body that somebody decoded to text', () => {
  test.each(['utf8', 'latin1', 'base64', 'hex', 'utf16le'] as const)(
    'as %s is taken as the bytes that it was, and its limit holds',
    async (encoding) => {
      await using door = await behind((request, _response, next) => {
        request.setEncoding(encoding)
        next()
      })
      using _logs = new CapturedLogs()
      expect(await statuses(door)).toEqual([200, 401])
      const large = new Readable({ read() {} })
      for (let count = 0; count < 6; count++) large.push(Buffer.alloc(10_000, ' '))
      large.push(null)
      const request = { method: 'POST', headers: unsigned.headers, body: Readable.toWeb(large), duplex: 'half' }
      expect((await fetch(door.url, request as RequestInit)).status).toBe(413)
    },
  )

  test.each([
    ['an object', { a: 1 }],
    ['a number', 7],
    ['a function', () => {}],
  ])('or to %s is a 500 that the log explains', async (_, piece) => {
    using logs = new CapturedLogs()
    await using door = await behind((request, response) => {
      const { method, headers, rawHeaders } = request
      const stream = Object.assign(Readable.from([piece]), { method, headers, rawHeaders })
      agent.express()(stream as unknown as IncomingMessage, response)
    })
    expect((await post(door, unsigned)).status).toBe(500)
    expect(logs.matching('error', { code: 'RAW_BODY_UNAVAILABLE' })).toHaveLength(1)
  })
})

describe('F-W1: a request never ends the process', () => {
  test.each<[string, RequestHandler]>([
    [
      'headers that are no text',
      (request, _response, next) => {
        request.rawHeaders.length = 0
        Object.defineProperty(request, 'headersDistinct', { value: { 'content-type': [7] } })
        next()
      },
    ],
    [
      'a property that throws',
      (request, _response, next) => {
        Object.defineProperty(request, 'rawHeaders', {
          get: () => {
            throw new Error('no such property')
          },
        })
        next()
      },
    ],
    [
      'something that is thrown and is no error',
      (request, _response, next) => {
        Object.defineProperty(request, 'rawHeaders', {
          get: () => {
            throw { secret: 'secret things' }
          },
        })
        next()
      },
    ],
  ])('with %s: 500 and one line that says why', async (_, middleware) => {
    using logs = new CapturedLogs()
    await using door = await behind(middleware)
    expect((await post(door, await signed())).status).toBe(500)
    expect(logs.matching('error')).toHaveLength(1)
    expect(logs.text()).not.toContain('secret things')
  })

  test('when its stream fails, also after it was read, or its response does', async () => {
    using _logs = new CapturedLogs()
    const ends: Promise<unknown>[] = []
    await using door = await behind((request, response, next) => {
      next()
      request.emit('error', new Error('broken'))
      response.emit('error', new Error('broken'))
      ends.push(once(response, 'close'))
      response.destroy()
    })
    await expect(post(door, await signed())).rejects.toThrow()
    await Promise.all(ends)
  })

  test('when an answer cannot be written', async () => {
    using logs = new CapturedLogs()
    const written = new EventEmitter()
    const tried = once(written, 'head')
    await using door = await behind((_request, response, next) => {
      response.writeHead = () => {
        written.emit('head')
        response.socket?.destroy()
        throw new Error('broken')
      }
      next()
    })
    await expect(post(door, await signed())).rejects.toThrow()
    await tried
    expect(logs.matching('error')).toHaveLength(1)
  })
})

describe('F-W2: a handler that is given another framework’s objects', () => {
  test('refuses them at once with the way that works: Fastify', async () => {
    using logs = new CapturedLogs()
    await using door = await fastifyDoor((app) => void app.post('/agent', agent.express() as never))
    const response = await post(door, unsigned)
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('hijack') })
    expect(logs.matching('error', { code: 'CONFIG_INVALID' })).toHaveLength(1)
  })

  test('and that way works', async () => {
    using _logs = new CapturedLogs()
    await using door = await fastifyDoor((app) => {
      app.register(async (scope) => {
        scope.addContentTypeParser('application/json', (_request, _payload, done) => done(null))
        scope.post('/agent', (request, reply) => {
          reply.hijack()
          agent.express()(request.raw, reply.raw)
        })
      })
    })
    expect(await statuses(door)).toEqual([200, 401])
  })

  test('Hono, with the context instead of its request', async () => {
    using _logs = new CapturedLogs()
    for (const wrong of [
      (context: Context) => agent.fetch(context as never),
      (context: Context) => agent.fetch(context.req as never),
      (context: Context) => agent.express()(context as never, (() => {}) as never) as never,
    ]) {
      await using door = await honoDoor(wrong)
      expect((await post(door, unsigned)).status).toBe(500)
    }
    await using right = await honoDoor((context) => agent.fetch(context.req.raw))
    expect(await statuses(right)).toEqual([200, 401])
  })

  const wrong = [
    undefined,
    null,
    7,
    'request',
    {},
    [],
    () => {},
    new Map(),
    new Request('http://a/'),
    { on: 1, headers: {} },
  ]

  test.each(wrong)('agent.express() throws for %o', (given) => {
    using _logs = new CapturedLogs()
    for (const args of [[given, {}], [new Readable(), given], [given, given], [given]]) {
      expect(() => agent.express()(...(args as [IncomingMessage, ServerResponse]))).toThrow(
        expect.objectContaining({ name: 'ConfigError', code: 'CONFIG_INVALID' }),
      )
    }
  })

  test.each([...wrong.filter((given) => !(given instanceof Request)), { method: 'POST', headers: {}, body: 'x' }])(
    'agent.fetch rejects for %o',
    async (given) => {
      using _logs = new CapturedLogs()
      // A promise that nobody awaits must not end the process either.
      void agent.fetch(given as never)
      await expect(agent.fetch(given as never)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    },
  )
})

describe('F-W3: parsed headers without raw ones', () => {
  test('behind serverless-http', async () => {
    using _logs = new CapturedLogs()
    const handler = serverless(express().post('/agent', agent.express()))
    const call = async ({ body, headers }: JobWebhook): Promise<number> => {
      const event = { httpMethod: 'POST', path: '/agent', headers, body, isBase64Encoded: false, requestContext: {} }
      return ((await handler(event, {})) as { statusCode: number }).statusCode
    }
    expect([await call(await signed()), await call(unsigned)]).toEqual([200, 401])
  })

  test.each<[string, (request: IncomingMessage) => void]>([
    [
      'headers in any case',
      (request) => {
        const given = request.headers
        request.headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toUpperCase(), value]))
        Object.defineProperty(request, 'headersDistinct', { value: {} })
      },
    ],
    [
      'no distinct ones at all',
      (request) => {
        request.headers = { ...request.headers }
        Object.defineProperty(request, 'headersDistinct', { value: undefined })
      },
    ],
    [
      'distinct ones',
      (request) => {
        Object.defineProperty(request, 'headersDistinct', { value: { ...request.headersDistinct } })
      },
    ],
  ])('with %s', async (_, change) => {
    using _logs = new CapturedLogs()
    await using door = await behind((request, _response, next) => {
      change(request)
      Object.defineProperty(request, 'rawHeaders', { value: [] })
      next()
    })
    expect(await statuses(door)).toEqual([200, 401])
  })
})

describe('F-W4: a body that cannot be looked at', () => {
  const throwing: RequestHandler = (request, _response, next) => {
    Object.defineProperty(request, 'body', {
      get: () => {
        throw new Error('Invalid JSON')
      },
    })
    next()
  }

  test('is not looked at while the stream is unread', async () => {
    using _logs = new CapturedLogs()
    await using door = await behind(throwing)
    expect(await statuses(door)).toEqual([200, 401])
  })

  test('nor where the bytes are in rawBody', async () => {
    using _logs = new CapturedLogs()
    const keep: RequestHandler = async (request, _response, next) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      Object.assign(request, { rawBody: Buffer.concat(chunks) })
      next()
    }
    await using door = await behind(keep, throwing)
    expect(await statuses(door)).toEqual([200, 401])
  })

  test('and if nothing has the bytes, the one line of the log says so', async () => {
    using logs = new CapturedLogs()
    await using door = await behind(express.text({ type: '*/*' }), throwing)
    expect((await post(door, await signed())).status).toBe(500)
    expect(logs.matching('error')).toMatchObject([{ fields: { code: 'RAW_BODY_UNAVAILABLE' } }])
  })
})

test('F-W4: whenever the answer is 500, the log says why, also where somebody listens for errors', async () => {
  using logs = new CapturedLogs()
  const failing = createAgent({
    secrets: SECRET,
    entry: () => {},
    request: () => {
      throw new Error('broken')
    },
  })
  await using door = await serve(failing.express())
  failing.on('error', () => {})
  expect((await post(door, await signed())).status).toBe(500)
  expect(logs.records.filter(({ level }) => level === 'warn' || level === 'error')).toHaveLength(1)
})

describe('F-W5: bytes that the framework has', () => {
  const parser = (keep: boolean) => (app: FastifyInstance) =>
    void app.register(async (scope) => {
      scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
        if (keep) Object.assign(request.raw, { rawBody: body })
        done(null, body)
      })
      scope.post('/agent', (request, reply) => {
        reply.hijack()
        agent.express()(request.raw, reply.raw)
      })
    })

  test('Fastify with its buffer parser: 500, and the text names Fastify’s fix', async () => {
    using logs = new CapturedLogs()
    await using door = await fastifyDoor(parser(false))
    expect((await post(door, await signed())).status).toBe(500)
    expect(logs.matching('error')[0]?.message).toContain('request.raw.rawBody = body')
  })

  test('and that fix works', async () => {
    using _logs = new CapturedLogs()
    await using door = await fastifyDoor(parser(true))
    expect(await statuses(door)).toEqual([200, 401])
  })

  test('Hono after context.req.json(): 500, and the text names Hono’s fix', async () => {
    using logs = new CapturedLogs()
    await using door = await honoDoor(async (context) => {
      await context.req.json()
      return agent.fetch(context.req.raw)
    })
    expect((await post(door, await signed())).status).toBe(500)
    expect(logs.matching('error')[0]?.message).toContain('agent.fetch(new Request(request, { body: bytes }))')
  })

  test('and Hono’s fix works', async () => {
    using _logs = new CapturedLogs()
    await using door = await honoDoor(async (context) => {
      const bytes = await context.req.arrayBuffer()
      const { url, method } = context.req
      return agent.fetch(new Request(url, { method, headers: context.req.header(), body: bytes }))
    })
    expect(await statuses(door)).toEqual([200, 401])
  })
})
