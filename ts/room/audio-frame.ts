// One frame of audio. It refuses samples that do not fill it.

import { checkInteger, invalid } from '../base/options.js'

/** @internal The bounds the native core checks again (src/audio/format.rs). */
export const MIN_SAMPLE_RATE = 8_000
/** @internal */
export const MAX_SAMPLE_RATE = 192_000
/** @internal */
export const MAX_CHANNELS = 2

const MAX_SAMPLES = 2 ** 31 - 1

/**
 * Interleaved 16-bit samples: the first sample of each channel, then the second of each, and so on.
 *
 * The `data` of a received frame is a view into memory shared with other frames: copy it (`data.slice()`) before you keep
 * it long, and use `data.byteOffset` and `data.byteLength` when you hand `data.buffer` on.
 */
export class AudioFrame {
  /** The samples, `channels * samplesPerChannel` of them. */
  data: Int16Array
  /** Hz. */
  sampleRate: number
  /** 1 or 2. */
  channels: number
  /** Samples of one channel. */
  samplesPerChannel: number
  #userdata: Record<string, unknown> | undefined

  /**
   * @throws {ConfigError} `CONFIG_INVALID` if a number is out of range or the samples do not fill the frame.
   */
  constructor(
    data: Int16Array,
    sampleRate: number,
    channels: number,
    samplesPerChannel: number,
    userdata?: Record<string, unknown>,
  ) {
    this.data = data
    this.sampleRate = sampleRate
    this.channels = channels
    this.samplesPerChannel = samplesPerChannel
    this.#userdata = userdata
    checkFrame(this, 'frame')
  }

  /** A frame of silence. */
  static create(
    sampleRate: number,
    channels: number,
    samplesPerChannel: number,
    userdata?: Record<string, unknown>,
  ): AudioFrame {
    checkInteger(channels, 'channels', 1, MAX_CHANNELS)
    checkInteger(samplesPerChannel, 'samplesPerChannel', 0, MAX_SAMPLES / MAX_CHANNELS)
    const data = new Int16Array(channels * samplesPerChannel)
    return new AudioFrame(data, sampleRate, channels, samplesPerChannel, userdata)
  }

  /** What you attached to the frame. It does not travel. */
  get userdata(): Record<string, unknown> {
    this.#userdata ??= {}
    return this.#userdata
  }
}

/** Whether a frame is one: the check that is done for each frame, without words. */
function isFrame({ data, sampleRate, channels, samplesPerChannel }: AudioFrame): boolean {
  return (
    data instanceof Int16Array &&
    Number.isInteger(sampleRate) &&
    sampleRate >= MIN_SAMPLE_RATE &&
    sampleRate <= MAX_SAMPLE_RATE &&
    (channels === 1 || channels === MAX_CHANNELS) &&
    Number.isInteger(samplesPerChannel) &&
    data.length === channels * samplesPerChannel
  )
}

/** @internal Refuses what is not a frame; its fields may have been changed since it was made. */
export function checkFrame(frame: AudioFrame, path: string): void {
  if (isFrame(frame)) return
  const { data, sampleRate, channels, samplesPerChannel } = frame
  if (!(data instanceof Int16Array)) throw invalid(`${path}.data`, 'an Int16Array', data)
  checkInteger(sampleRate, `${path}.sampleRate`, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
  checkInteger(channels, `${path}.channels`, 1, MAX_CHANNELS)
  checkInteger(samplesPerChannel, `${path}.samplesPerChannel`, 0, MAX_SAMPLES)
  throw invalid(`${path}.data`, `${channels * samplesPerChannel} samples long`, data.length)
}
