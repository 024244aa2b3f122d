// An agent among other Express middleware: who has read the body before it, and what that means for a signature.

import express, { type RequestHandler } from 'express'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expressHandler } from '../../ts/express.js'
import { type Agent, createAgent } from '../../ts/index.js'
import { type Door, post, serve } from '../support/doors.js'
import { jobBody, SECRET, sign } from '../support/job-webhook.js'
import { CapturedLogs } from '../support/logs.js'
import { StatusDesk } from '../support/status-desk.js'

let desk: StatusDesk
let agent: Agent

beforeAll(async () => {
  desk = await StatusDesk.open()
  agent = createAgent({ secrets: SECRET, entry: () => {}, statusUrl: desk.url })
})

afterAll(async () => {
  await agent.close()
  await desk[Symbol.asyncDispose]()
})

function behind(...middleware: RequestHandler[]): Promise<Door> {
  return serve(express().post('/agent', ...middleware, agent.express()))
}

/** A body that reads the same after parsing but is written in another way. */
async function oddlyWritten(): Promise<{ body: string; headers: Record<string, string> }> {
  return sign(JSON.stringify(await jobBody({ metadata: 'a & b' }), null, 2).replace('&', '\\u0026'))
}

describe('behind', () => {
  test('nothing, the raw bytes are read on the route', async () => {
    await using door = await behind()
    expect((await post(door, await oddlyWritten())).status).toBe(200)
  })

  test('express.json(), the answer is 500 and the log names the fix', async () => {
    using logs = new CapturedLogs()
    await using door = await behind(express.json())
    const response = await post(door, await oddlyWritten())
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"accepted":false,"error":"Internal server error"}',
    ])
    const [record] = logs.matching('error', { code: 'RAW_BODY_UNAVAILABLE' })
    expect(record?.message).toContain('express.json()')
    expect(record?.message).toContain('rawBody')
  })

  test('express.text() and express.urlencoded(), likewise or untouched', async () => {
    using _logs = new CapturedLogs()
    await using read = await behind(express.text({ type: '*/*' }))
    expect((await post(read, await oddlyWritten())).status).toBe(500)
    await using untouched = await behind(express.urlencoded({ extended: false }))
    expect((await post(untouched, await oddlyWritten())).status).toBe(200)
  })

  test('express.json() that keeps the bytes, they are used', async () => {
    const verify = (request: unknown, _response: unknown, buffer: Buffer): void => {
      ;(request as { rawBody?: Buffer }).rawBody = buffer
    }
    await using door = await behind(express.json({ verify }))
    expect((await post(door, await oddlyWritten())).status).toBe(200)
  })

  test('express.raw(), its Buffer is used', async () => {
    await using door = await behind(express.raw({ type: '*/*' }))
    expect((await post(door, await oddlyWritten())).status).toBe(200)
    const { body, headers } = await oddlyWritten()
    expect((await post(door, { body: `${body} `, headers })).status).toBe(401)
  })

  test('a limit of its own, a body kept by somebody else is measured too', async () => {
    const small = createAgent({ secrets: SECRET, entry: () => {}, maxBodyBytes: 10 })
    await using door = await serve(
      express()
        .use(express.raw({ type: '*/*' }))
        .post('/agent', small.express()),
    )
    const { body, headers } = await oddlyWritten()
    const chunked = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode(body))
        controller.close()
      },
    })
    const request = { method: 'POST', headers, body: chunked, duplex: 'half' } as RequestInit
    expect((await fetch(door.url, request)).status).toBe(413)
  })
})

test('a Request whose body was read before is refused like a parsed one', async () => {
  using logs = new CapturedLogs()
  const request = new Request('http://localhost/agent', { method: 'POST', ...(await oddlyWritten()) })
  await request.text()
  expect((await agent.fetch(request)).status).toBe(500)
  expect(logs.matching('error', { code: 'RAW_BODY_UNAVAILABLE' })).toHaveLength(1)
})

test('roomhook/express gives the same handler, and only for an agent', async () => {
  await using door = await serve(express().post('/agent', expressHandler(agent)))
  expect((await post(door, await oddlyWritten())).status).toBe(200)
  for (const wrong of [undefined, null, {}, 'agent']) {
    expect(() => expressHandler(wrong as never)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  }
})
