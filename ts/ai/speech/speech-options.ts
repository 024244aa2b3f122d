// The typed options of one speech or transcription call: `providerOptions: { livekit: … }` under the AI SDK. Unknown
// names and wrong types are refused, with the nearest known name.

import { checkInteger, checkOptions, checkText, invalid } from '../../base/options.js'
import { type CallOptions, callOptionNames, checkCallOptions } from '../call-options.js'
import type { Json, ProviderOptions } from '../spec.js'

/** `providerOptions.livekit` of a transcription. */
export type TranscriptionOptions = CallOptions & {
  /** The language spoken, e.g. `en`. Default: the one after the colon of the model's id, else the vendor's default. */
  language?: string
  /** The rate of raw 16-bit mono samples given to `transcribe` without a WAV header, 8000 to 48000. Default: none. */
  inputSampleRate?: number
  /**
   * How long to wait for another transcript once the input has ended and one has come. Default: 500 if the gateway
   * confirmed that it has worked off the input, else 3000.
   */
  settleMs?: number
  /** The vendor's own options. Default: none. */
  extra?: { [option: string]: Json | undefined }
}

/** `providerOptions.livekit` of a speech call. */
export type SpeechOptions = CallOptions & {
  /** The rate of the samples, 8000 to 48000; of a streaming call only when its `outputFormat` has none. Default: 24000. */
  sampleRate?: number
  /** The vendor's own options. Default: none. */
  extra?: { [option: string]: Json | undefined }
}

const PATH = 'providerOptions.livekit'

/** Checks a rate of samples: 8000 to 48000 a second. */
export function checkRate(value: unknown, path: string): number {
  return checkInteger(value, path, 8_000, 48_000)
}

function checkExtra(value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${PATH}.extra`, 'an object of JSON values', value)
  }
}

/** @throws ConfigError `CONFIG_INVALID`. */
export function transcriptionOptions(providerOptions: ProviderOptions | undefined): TranscriptionOptions {
  const options = checkOptions(providerOptions?.livekit as TranscriptionOptions | undefined, PATH, [
    ...callOptionNames,
    'language',
    'inputSampleRate',
    'settleMs',
    'extra',
  ])
  checkCallOptions(options, PATH)
  checkExtra(options.extra)
  if (options.language !== undefined) checkText(options.language, `${PATH}.language`)
  if (options.inputSampleRate !== undefined) checkRate(options.inputSampleRate, `${PATH}.inputSampleRate`)
  if (options.settleMs !== undefined) checkInteger(options.settleMs, `${PATH}.settleMs`, 0, 60_000)
  return options
}

/** @throws ConfigError `CONFIG_INVALID`. */
export function speechOptions(providerOptions: ProviderOptions | undefined): SpeechOptions {
  const options = checkOptions(providerOptions?.livekit as SpeechOptions | undefined, PATH, [
    ...callOptionNames,
    'sampleRate',
    'extra',
  ])
  checkCallOptions(options, PATH)
  checkExtra(options.extra)
  if (options.sampleRate !== undefined) checkRate(options.sampleRate, `${PATH}.sampleRate`)
  return options
}

/** LiveKit's ids carry a detail after the last colon: the language of a transcription model, the voice of a speech model. */
export function splitModelId(modelId: string): { id: string; detail: string | undefined } {
  const colon = modelId.lastIndexOf(':')
  if (colon <= 0 || colon === modelId.length - 1) return { id: modelId, detail: undefined }
  return { id: modelId.slice(0, colon), detail: modelId.slice(colon + 1) }
}
