// Both majors of the AI SDK for tests, from the fixture folders that `npm test` installs. Typed by what the tests use of
// them, so that the project type-checks without either; the real types are the fixtures' own type tests.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Gateway } from './gateway.js'

/** The majors under test. */
export const MAJORS = [6, 7] as const
export type Major = (typeof MAJORS)[number]

/** Any function of the SDK. */
// biome-ignore lint/suspicious/noExplicitAny: the SDK's own types are not installed where this file is type-checked
export type SdkFunction = (...args: any[]) => any

/** The functions that both majors have under the same name. */
type Common =
  | 'createAgentUIStream'
  | 'createProviderRegistry'
  | 'customProvider'
  | 'embed'
  | 'embedMany'
  | 'generateObject'
  | 'generateText'
  | 'rerank'
  | 'simulateStreamingMiddleware'
  | 'streamObject'
  | 'streamText'
  | 'tool'
  | 'wrapLanguageModel'
  | 'wrapProvider'

/** One major: its functions by name. */
export interface Sdk {
  major: Major
  ai: Record<Common, SdkFunction> & Record<string, SdkFunction | undefined>
  openai: { createOpenAI: SdkFunction }
  compatible: { createOpenAICompatible: SdkFunction }
  /** The SDK's own mock models. */
  test: Record<string, new (options: object) => object>
  /** ai 7 only. */
  otel: Record<string, never>
  otelContext: Record<string, never>
  otelCore: Record<string, never>
  generateSpeech: SdkFunction
  transcribe: SdkFunction
  generateImage: SdkFunction
  /** Stops a tool loop after so many steps. */
  steps: SdkFunction
  jsonSchema: SdkFunction
}

/** Loads one major. */
export async function loadSdk(major: Major): Promise<Sdk> {
  const folder = join(import.meta.dirname, '..', `ai${major}`)
  if (!existsSync(join(folder, 'node_modules', 'ai'))) {
    throw new Error(`the AI SDK ${major} is not installed: run \`npm ci\` in __test__/ai${major}`)
  }
  const modules = (await import(/* @vite-ignore */ join(folder, 'sdk.mjs'))) as Omit<Sdk, 'major'>
  const { ai } = modules
  const pick = (...names: string[]): SdkFunction => {
    const found = names.map((name) => ai[name]).find((value) => value !== undefined)
    if (found === undefined) throw new Error(`ai ${major} has none of ${names.join(', ')}`)
    return found
  }
  // Warnings about what a model does not support belong to the results that the tests look at.
  ;(globalThis as { AI_SDK_LOG_WARNINGS?: boolean }).AI_SDK_LOG_WARNINGS = false
  return {
    ...modules,
    major,
    generateSpeech: pick('generateSpeech', 'experimental_generateSpeech'),
    transcribe: pick('transcribe', 'experimental_transcribe'),
    generateImage: pick('generateImage', 'experimental_generateImage'),
    steps: pick('isStepCount', 'stepCountIs'),
    jsonSchema: pick('jsonSchema'),
  }
}

type Factories = Record<'chatModel' | 'embedding' | 'imageModel' | 'speech' | 'transcription', SdkFunction>

/** A vendor's providers against the local gateway, which then takes any key. */
export function vendors(sdk: Sdk, gateway: Gateway, more: object = {}) {
  gateway.judge = false
  const settings = { baseURL: gateway.url, apiKey: 'vendor-key', name: 'vendor', ...more }
  return {
    openai: sdk.openai.createOpenAI(settings) as Factories,
    compatible: sdk.compatible.createOpenAICompatible({ ...settings, includeUsage: true }) as SdkFunction & Factories,
  }
}

/** Takes everything a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const part of stream) all.push(part)
  return all
}
