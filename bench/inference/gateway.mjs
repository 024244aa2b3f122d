// The gateway of ../inference.mjs, in a process of its own so that its work is not counted: streams chat
// completions, and on /tts sends an audio message every 20 ms while on /stt it only listens. Started with fork; says its port.

import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const DELTAS = 40

const chunk = (delta, finish_reason = null) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'openai/gpt-5-mini',
    choices: [{ index: 0, delta, finish_reason }],
  })}\n\n`

/** One streamed answer, a chunk of the response at a time; the turns of the event loop between them keep them apart. */
function answer(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let sent = 0
  const next = () => {
    if (response.destroyed) return
    if (sent === DELTAS) {
      response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`)
      return
    }
    response.write(chunk({ content: ` word${sent++}` }))
    setImmediate(next)
  }
  next()
}

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => answer(response))
})
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
const talking = new Set()
const audio = JSON.stringify({ type: 'output_audio', audio: Buffer.alloc(960, 7).toString('base64') })

sockets.on('connection', (socket, request) => {
  socket.on('message', () => undefined)
  socket.on('error', () => undefined)
  if (!request.url.startsWith('/v1/tts')) return
  const state = { socket, due: performance.now() + Math.random() * 20 }
  talking.add(state)
  socket.on('close', () => talking.delete(state))
})

setInterval(() => {
  const now = performance.now()
  for (const state of talking) {
    while (state.due <= now) {
      state.due += 20
      state.socket.send(audio)
    }
  }
}, 1)

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('disconnect', () => process.exit(0))
