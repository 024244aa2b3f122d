// The gateway of bench/inference.mjs, in a process of its own so that its work is not counted: answers chat completions,
// and on /tts sends an audio message every 20 ms while on /stt it only listens. Started with fork; says its port.

import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const answer = JSON.stringify({
  id: 'c1',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there.' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
})

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer))
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
