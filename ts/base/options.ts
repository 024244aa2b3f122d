// Option checking shared by every public function: unknown keys are refused with the nearest known one, types and
// ranges are checked with the option's path in the message. All defaults live beside their option's check.

import { ConfigError } from './errors.js'

function nearest(key: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(key.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

/** Describes a value for an error message by its kind, never by its content. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isFinite(value) ? `the number ${value}` : String(value)
  if (typeof value === 'object') {
    const name = (value as object).constructor?.name
    return typeof name !== 'string' || name === 'Object' ? 'an object' : `a ${name}`
  }
  if (typeof value === 'undefined') return 'undefined'
  return `a ${typeof value}`
}

/** The error for one wrong option or argument. */
export function invalid(path: string, expected: string, value: unknown): ConfigError {
  return new ConfigError('CONFIG_INVALID', `${path} must be ${expected}, got ${kindOf(value)}`, {
    details: { path },
  })
}

/** An options object of known keys; `undefined` is an empty one, `null` and other types are refused. */
export function checkOptions<T extends object>(
  value: T | undefined,
  path: string,
  known: readonly (keyof T & string)[],
): Partial<T> {
  if (value === undefined) return {}
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid(path, 'an object', value)
  for (const key of Object.keys(value)) {
    if ((known as readonly string[]).includes(key)) continue
    const hint = nearest(key, known)
    throw new ConfigError(
      'CONFIG_INVALID',
      `${path}.${key} is not an option${hint === undefined ? '' : `; did you mean ${hint}?`}`,
      { details: { path: `${path}.${key}` } },
    )
  }
  return value
}

/** A string, as long as it may be. */
export function checkString(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalid(path, 'a string', value)
  return value
}

/** A string with something in it. */
export function checkText(value: unknown, path: string): string {
  if (typeof value !== 'string' || value === '') throw invalid(path, 'a non-empty string', value)
  return value
}

/** A boolean. */
export function checkBoolean(value: unknown, path: string): boolean {
  if (typeof value !== 'boolean') throw invalid(path, 'a boolean', value)
  return value
}

/** A whole number within bounds, both included. */
export function checkInteger(value: unknown, path: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw invalid(path, `a whole number from ${min} to ${max}`, value)
  }
  return value
}

/** A record of strings. */
export function checkStrings(value: unknown, path: string): Record<string, string> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalid(path, 'an object of strings', value)
  }
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry !== 'string') throw invalid(`${path}.${key}`, 'a string', entry)
  }
  return value as Record<string, string>
}

/** A function. */
export function checkFunction<F extends (...args: never[]) => unknown>(value: unknown, path: string): F {
  if (typeof value !== 'function') throw invalid(path, 'a function', value)
  return value as F
}

/** A `ws:`, `wss:`, `http:` or `https:` URL, or whichever schemes are named. */
export function checkUrl(value: unknown, path: string, schemes: readonly string[]): string {
  const text = checkText(value, path)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new ConfigError('CONFIG_INVALID', `${path} must be a URL (${schemes.join(', ')}), and it cannot be parsed`, {
      details: { path },
    })
  }
  if (!schemes.includes(url.protocol.slice(0, -1))) {
    throw new ConfigError('CONFIG_INVALID', `${path} must be a URL with ${schemes.join(', ')}, got ${url.protocol}`, {
      details: { path },
    })
  }
  return text
}
