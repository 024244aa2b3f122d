// The AI SDK 7, its OpenAI providers and OpenTelemetry, as the tests load them.

export * as openai from '@ai-sdk/openai'
export * as compatible from '@ai-sdk/openai-compatible'
export * as otel from '@opentelemetry/api'
export * as otelContext from '@opentelemetry/context-async-hooks'
export * as otelCore from '@opentelemetry/core'
export * as ai from 'ai'
export * as test from 'ai/test'
