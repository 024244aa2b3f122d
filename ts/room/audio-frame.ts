// One frame of audio. It refuses samples that do not fill it.

import { types } from 'node:util'
import { native } from '../base/native.js'
import { checkInteger, invalid } from '../base/options.js'

const { MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_RATE_STEP } = native
const MAX_SAMPLES = 2 ** 31 - 1

/** @internal A rate that sources and streams can have. */
export function checkSampleRate(value: unknown, path: string): number {
  const rate = checkInteger(value, path, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
  if (rate % SAMPLE_RATE_STEP === 0) return rate
  // WebRTC moves pieces of 10 ms and rounds what is no whole number of samples: another pitch would be heard.
  throw invalid(path, `a multiple of ${SAMPLE_RATE_STEP} (resample 22050 Hz for example to 24000)`, value)
}

/** @internal */
export function checkChannels(value: unknown, path: string): number {
  return checkInteger(value, path, 1, MAX_CHANNELS)
}

/** What every frame of audio has, those of `@livekit/rtc-node` included. */
export interface AudioFrameLike {
  /** Interleaved 16-bit samples, `channels * samplesPerChannel` of them. */
  data: Int16Array
  /** Hz. */
  sampleRate: number
  /** 1 or 2. */
  channels: number
  /** Samples of one channel. */
  samplesPerChannel: number
}

/**
 * Interleaved 16-bit samples: the first sample of each channel, then the second of each, and so on.
 *
 * A received frame owns its memory: `data.buffer` holds this frame and nothing else, for as long as you keep it.
 */
export class AudioFrame implements AudioFrameLike {
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
    checkChannels(channels, 'channels')
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
function isFrame({ data, sampleRate, channels, samplesPerChannel }: AudioFrameLike): boolean {
  return (
    types.isInt16Array(data) &&
    Number.isInteger(sampleRate) &&
    sampleRate >= MIN_SAMPLE_RATE &&
    sampleRate <= MAX_SAMPLE_RATE &&
    (channels === 1 || channels === MAX_CHANNELS) &&
    Number.isInteger(samplesPerChannel) &&
    data.length === channels * samplesPerChannel
  )
}

/** @internal Refuses what is not a frame; the fields of one may have been changed since it was made. */
export function checkFrame(frame: AudioFrameLike, path: string): void {
  if (typeof frame !== 'object' || frame === null) throw invalid(path, 'an AudioFrame', frame)
  if (isFrame(frame)) return
  const { data, sampleRate, channels, samplesPerChannel } = frame
  if (!types.isInt16Array(data)) throw invalid(`${path}.data`, 'an Int16Array', data)
  checkInteger(sampleRate, `${path}.sampleRate`, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
  checkChannels(channels, `${path}.channels`)
  checkInteger(samplesPerChannel, `${path}.samplesPerChannel`, 0, MAX_SAMPLES)
  throw invalid(`${path}.data`, `${channels * samplesPerChannel} samples long`, data.length)
}
