// The AI SDK 6 and its OpenAI providers, as the tests load them.

export * as openai from '@ai-sdk/openai'
export * as compatible from '@ai-sdk/openai-compatible'
export * as ai from 'ai'
export * as test from 'ai/test'
