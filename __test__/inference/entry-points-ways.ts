// The ways in which a model gets to the functions of the AI SDK: again after a failure, instead of another, by its id, out
// of a registry, through middleware. One row each, as in entry-points-rows.ts.

import { collect } from '../support/ai-sdk.js'
import type { Row } from './entry-points-rows.js'

const prompt = 'Say hello.'

/** The ways, one row each. */
export const WAYS: readonly Row[] = [
  {
    name: 'a retry after 500',
    needs: 'chat',
    requests: 2,
    run(sdk, { chat }, gateway) {
      gateway.faults.push({ status: 500, headers: { 'retry-after-ms': '1' } })
      return sdk.ai.generateText({ model: chat, prompt })
    },
  },
  {
    name: 'a retry of a stream after 429',
    needs: 'chat',
    requests: 2,
    run(sdk, { chat }, gateway) {
      gateway.faults.push({ status: 429, headers: { 'retry-after-ms': '1' } })
      const result = sdk.ai.streamText({ model: chat, prompt })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'a fallback model',
    needs: 'chat',
    requests: 2,
    async run(sdk, { chat, fallback }, gateway) {
      gateway.faults.push({ status: 404 })
      return sdk.ai.generateText({ model: chat, prompt }).catch(() => sdk.ai.generateText({ model: fallback, prompt }))
    },
  },
  {
    name: 'a model id as text',
    needs: 'chat',
    requests: 1,
    async run(sdk, { provider }) {
      const global = globalThis as { AI_SDK_DEFAULT_PROVIDER?: object }
      global.AI_SDK_DEFAULT_PROVIDER = provider
      try {
        return await sdk.ai.generateText({ model: 'openai/gpt-5-mini', prompt })
      } finally {
        delete global.AI_SDK_DEFAULT_PROVIDER
      }
    },
  },
  {
    name: 'a provider registry',
    needs: 'chat',
    requests: 1,
    run(sdk, { provider }) {
      const registry = sdk.ai.createProviderRegistry({ lk: provider })
      return sdk.ai.generateText({ model: registry.languageModel('lk:openai/gpt-5-mini'), prompt })
    },
  },
  {
    name: 'a model inside middleware',
    needs: 'chat',
    requests: 1,
    run(sdk, { chat }) {
      const middleware = sdk.ai.simulateStreamingMiddleware()
      const result = sdk.ai.streamText({ model: sdk.ai.wrapLanguageModel({ model: chat, middleware }), prompt })
      return () => collect(result.textStream)
    },
  },
  {
    name: 'a custom provider with a fallback',
    needs: 'chat',
    requests: 2,
    async run(sdk, { chat, provider }) {
      const custom = sdk.ai.customProvider({ languageModels: { quick: chat }, fallbackProvider: provider })
      for (const id of ['quick', 'openai/gpt-4o']) {
        await sdk.ai.generateText({ model: custom.languageModel(id), prompt })
      }
    },
  },
  {
    name: 'a provider inside middleware',
    needs: 'chat',
    requests: 1,
    run(sdk, { provider }) {
      const languageModelMiddleware = sdk.ai.simulateStreamingMiddleware()
      const wrapped = sdk.ai.wrapProvider({ provider, languageModelMiddleware })
      const result = sdk.ai.streamText({ model: wrapped.languageModel('openai/gpt-5-mini'), prompt })
      return () => collect(result.textStream)
    },
  },
]
