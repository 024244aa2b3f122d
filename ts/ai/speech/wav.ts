// WAV files as far as speech models need them: 16-bit PCM in, 16-bit mono PCM out. Compressed audio is refused: the
// gateway's sessions take PCM, and roomhook has no decoders.

import { ConfigError } from '../../base/errors.js'

/** 16-bit little-endian mono PCM. */
export interface Pcm {
  /** Samples a second. */
  rate: number
  bytes: Uint8Array
}

const PCM = 1
const EXTENSIBLE = 0xfffe

function text(file: Buffer, at: number): string {
  return file.toString('latin1', at, at + 4)
}

/** Whether bytes start as a WAV file does. */
export function isWav(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return file.length >= 12 && text(file, 0) === 'RIFF' && text(file, 8) === 'WAVE'
}

/**
 * The samples of a WAV file; several channels become their mean.
 * @throws ConfigError `CONFIG_INVALID` for anything but 16-bit PCM.
 */
export function readWav(bytes: Uint8Array): Pcm {
  if (!isWav(bytes)) throw unreadable('no RIFF header')
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let format: { channels: number; rate: number } | undefined
  for (let at = 12; at + 8 <= file.length; ) {
    const name = text(file, at)
    const size = file.readUInt32LE(at + 4)
    const start = at + 8
    if (name === 'fmt ' && start + 16 <= file.length) {
      const kind = file.readUInt16LE(start)
      const bits = file.readUInt16LE(start + 14)
      if ((kind !== PCM && kind !== EXTENSIBLE) || bits !== 16) throw unreadable(`format ${kind} with ${bits} bits`)
      format = { channels: file.readUInt16LE(start + 2), rate: file.readUInt32LE(start + 4) }
    } else if (name === 'data') {
      if (format === undefined || format.channels === 0) throw unreadable('no format before its data')
      // A file that was streamed does not know its size, and says 0 or the largest number.
      const end = size === 0 || start + size > file.length ? file.length : start + size
      return { rate: format.rate, bytes: mono(file.subarray(start, end), format.channels) }
    }
    at = start + size + (size & 1)
  }
  throw unreadable('no data')
}

function mono(samples: Buffer, channels: number): Uint8Array {
  if (channels === 1) return samples.subarray(0, samples.length & ~1)
  const frames = Math.floor(samples.length / (2 * channels))
  const mixed = Buffer.alloc(frames * 2)
  for (let frame = 0; frame < frames; frame++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) sum += samples.readInt16LE((frame * channels + channel) * 2)
    mixed.writeInt16LE(Math.round(sum / channels), frame * 2)
  }
  return mixed
}

/** PCM as a WAV file. */
export function writeWav({ rate, bytes }: Pcm): Uint8Array {
  const file = Buffer.alloc(44 + bytes.length)
  file.write('RIFF', 0, 'latin1')
  file.writeUInt32LE(36 + bytes.length, 4)
  file.write('WAVEfmt ', 8, 'latin1')
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(PCM, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(rate, 24)
  file.writeUInt32LE(rate * 2, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36, 'latin1')
  file.writeUInt32LE(bytes.length, 40)
  file.set(bytes, 44)
  return file
}

function unreadable(found: string): ConfigError {
  return new ConfigError(
    'CONFIG_INVALID',
    `the audio must be a WAV file of 16-bit PCM, got ${found}; for raw samples set providerOptions.livekit.inputSampleRate`,
  )
}
