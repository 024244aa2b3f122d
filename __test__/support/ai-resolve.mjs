// For `node --import`: resolves the AI SDK from the fixture folder that ROOMHOOK_TEST_AI names, as if it were installed
// beside the program that imports it.

import { register } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const fixture = pathToFileURL(join(import.meta.dirname, '..', process.env.ROOMHOOK_TEST_AI ?? 'ai7', 'sdk.mjs')).href

if (isMainThread) register(import.meta.url)

export function resolve(specifier, context, next) {
  return next(specifier, specifier === 'ai' ? { ...context, parentURL: fixture } : context)
}
