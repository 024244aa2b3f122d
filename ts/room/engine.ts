// Finds the folder the native addon was loaded from and tells the core, which looks for the media library there. It
// refuses to choose a library: ROOMHOOK_ENGINE_PATH and the folder are all there is.

import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { callNative, native } from '../base/native.js'

const ADDON = /^roomhook\.([\w-]+)\.node$/

/**
 * Where the addon that this copy of the package loaded lies: in its own folder, or in the platform package that is found
 * from there. Other copies in this process have addons and media libraries of their own.
 */
function addonFolder(): string | undefined {
  const root = resolve(import.meta.dirname, '..', '..')
  const require = createRequire(join(root, 'index.js'))
  for (const path of Object.keys(require.cache)) {
    const platform = ADDON.exec(basename(path))?.[1]
    if (platform === undefined) continue
    if (dirname(path) === root || path === resolved(require, `roomhook-${platform}`)) return dirname(path)
  }
  return undefined
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
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
