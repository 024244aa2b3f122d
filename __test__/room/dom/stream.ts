// That an AudioStream fits where a DOM `ReadableStream` is taken. Compiled by a test with the DOM's types, never run.

import { type AudioFrame, AudioStream, type RemoteTrack } from '../../../dist/index.js'

export function everywhere(track: RemoteTrack): unknown[] {
  const stream = new AudioStream(track)
  const dom: ReadableStream<AudioFrame> = stream
  const anything: ReadableStream = stream
  const bytes: ReadableStream<Uint8Array> = stream.pipeThrough(
    new TransformStream<AudioFrame, Uint8Array>({
      transform: (frame, out) => out.enqueue(new Uint8Array(frame.data.buffer.slice(0))),
    }),
  )
  const iterable: AsyncIterable<AudioFrame> = stream
  return [dom, anything, iterable, bytes, dom.getReader(), dom.tee(), new Response(bytes)]
}
