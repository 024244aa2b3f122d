// What else answers behind the base URL: what a vendor of the AI SDK has and LiveKit's gateway does not (embeddings,
// pictures, files of audio, responses), and the gateway's avatars. Only as much as a client needs to go on.

import type { ServerResponse } from 'node:http'
import { tone } from './gateway-speech.js'

function json(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** 16-bit mono PCM as a WAV file. */
export function wav(pcm: Buffer, rate: number): Buffer {
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + pcm.length, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(pcm.length, 40)
  return Buffer.concat([head, pcm])
}

/** Answers a vendor's path; false where there is none. */
export function answerVendor(response: ServerResponse, path: string, body: Record<string, unknown>): boolean {
  if (path === '/embeddings') {
    const input = Array.isArray(body.input) ? body.input : [body.input]
    json(response, {
      object: 'list',
      model: body.model,
      data: input.map((_, index) => ({ object: 'embedding', index, embedding: [index, 0.5, 1] })),
      usage: { prompt_tokens: input.length, total_tokens: input.length },
    })
  } else if (path === '/images/generations') {
    // The smallest picture there is: one transparent pixel.
    const pixel = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'
    json(response, { created: 1, data: [{ b64_json: pixel }] })
  } else if (path === '/audio/speech') {
    response.writeHead(200, { 'content-type': 'audio/wav' }).end(wav(tone(5, 16_000), 16_000))
  } else if (path === '/audio/transcriptions') {
    json(response, { text: 'hello from a file', language: 'en', duration: 1 })
  } else if (path === '/responses') {
    json(response, {
      id: 'resp_1',
      object: 'response',
      created_at: 1_700_000_000,
      model: body.model,
      status: 'completed',
      output: [
        {
          id: 'msg_1',
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Hello.', annotations: [] }],
        },
      ],
      usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    })
  } else if (path.startsWith('/avatar/')) {
    json(response, { ok: true })
  } else return false
  return true
}
