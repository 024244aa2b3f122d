// Finds the folder the native addon was loaded from and tells the core, which looks for the media library there. It
// refuses to choose a library: ROOMHOOK_ENGINE_PATH and the folder are all there is.

import { createRequire } from 'node:module'
import { dirname, resolve, sep } from 'node:path'
import { callNative, native } from '../base/native.js'

const ADDON = /^roomhook\.[\w-]+\.node$/

/** Where the loaded addon lies: this package's own folder first, then that of its platform package. */
function addonFolder(): string | undefined {
  const require = createRequire(import.meta.url)
  const loaded = Object.keys(require.cache).filter((path) => ADDON.test(path.slice(path.lastIndexOf(sep) + 1)))
  const root = resolve(import.meta.dirname, '..', '..')
  const own = loaded.find((path) => dirname(path) === root)
  const file = own ?? loaded[0]
  return file === undefined ? undefined : dirname(file)
}

let told = false

/** @internal Tells the core once where to look. */
export function prepareEngine(): void {
  if (told) return
  told = true
  const folder = addonFolder()
  if (folder !== undefined) callNative(() => native.setEngineDirectory(folder))
}

/**
 * Loads the media library in the background, so that the first join or audio source does not wait for it. Harmless to
 * repeat; a library that cannot be loaded shows at the first use, as `ENGINE_UNAVAILABLE`.
 */
export function preloadEngine(): void {
  prepareEngine()
  callNative(() => native.preloadEngine())
}
