// Server-sent events as chat completions use them: `data:` lines, an empty line between events, `[DONE]` at the end.
// Other fields are ignored; an event larger than the limit ends the stream.

import { ConnectionError } from '../errors.js'

/** The largest event that is buffered, in characters. */
export const MAX_EVENT_LENGTH = 8 * 1024 * 1024

/** The data of each event of a body, in order. It ends with the body; `[DONE]` is given like any other data. */
export async function* eventData(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  let data: string[] = []
  // A CR may be the first half of a CRLF whose LF comes with the next chunk, so lines end at LF and lose a trailing CR.
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    let end = rest.indexOf('\n')
    let start = 0
    while (end >= 0) {
      const line = rest.slice(start, rest[end - 1] === '\r' && end > start ? end - 1 : end)
      if (line === '') {
        if (data.length > 0) yield data.join('\n')
        data = []
      } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
      start = end + 1
      end = rest.indexOf('\n', start)
    }
    rest = rest.slice(start)
    if (rest.length > MAX_EVENT_LENGTH) {
      throw new ConnectionError(
        'TRANSPORT_FAILED',
        `an event of the stream is longer than ${MAX_EVENT_LENGTH} characters`,
      )
    }
  }
  rest += decoder.decode()
  if (rest.startsWith('data:')) data.push(rest.slice(rest[5] === ' ' ? 6 : 5).trimEnd())
  if (data.length > 0) yield data.join('\n')
}
