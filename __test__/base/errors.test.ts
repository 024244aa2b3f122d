// Errors across the boundary: one list of codes in Rust, TypeScript and docs/errors.md, and native failures that arrive
// as the right class with the caller's stack.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { createError, ERROR_CODES, RoomhookError, WebhookError } from '../../ts/base/errors.js'
import { awaitNative, callNative, native, rebuild } from '../../ts/base/native.js'
import { createWebhookVerifier } from '../../ts/webhook.js'

const root = resolve(import.meta.dirname, '../..')

test('docs/errors.md has one row for each code, with its class, in the order of the union', () => {
  const rows = [...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `(\w+)` +\| `(\w+)` +\|/gm)]
  const union = Object.entries(ERROR_CODES).flatMap(([name, codes]) => codes.map((code) => [code, name]))
  expect(rows.map(([, code, name]) => [code, name])).toEqual(union)
})

const platformNames: Partial<Record<string, string>> = { ABORTED: 'AbortError', TIMED_OUT: 'TimeoutError' }

test('a code builds the class that carries it', () => {
  for (const [name, codes] of Object.entries(ERROR_CODES)) {
    for (const code of codes) {
      const error = createError(code, 'message')
      expect(error.constructor.name).toBe(name)
      expect(error.name).toBe(platformNames[code] ?? name)
      expect(error.code).toBe(code)
    }
  }
})

test('an error is recognised across two copies of the package, and other errors are not', () => {
  const foreign = Object.assign(new Error('x'), { code: 'SIGNATURE_INVALID' })
  Object.defineProperty(foreign, Symbol.for('roomhook.error'), { value: true })
  expect(WebhookError.isInstance(foreign)).toBe(true)
  expect(RoomhookError.isInstance(foreign)).toBe(true)
  expect(WebhookError.isInstance(createError('CLOSED', 'x'))).toBe(false)
  expect(WebhookError.isInstance(Object.assign(new Error('x'), { code: 'SIGNATURE_INVALID' }))).toBe(false)
  expect(RoomhookError.isInstance(null)).toBe(false)
})

test('an error without details does not show an empty property', () => {
  expect(createError('CLOSED', 'x')).not.toHaveProperty('details')
})

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

const tooShort = { secrets: [{ value: 'short' }], standardScheme: false, toleranceS: 300, maxBodyBytes: 1024 }

test('a synchronous native failure is a real Error with name, code and retryable', () => {
  const error = thrownBy(() => native.nativeWebhookVerifier(tooShort)) as NodeJS.ErrnoException
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({ name: 'RoomhookError', code: 'CONFIG_INVALID', retryable: false })
})

test('a synchronous native failure becomes its class, with the stack of the caller', () => {
  function caller() {
    return callNative(() => native.nativeWebhookVerifier(tooShort))
  }
  const error = thrownBy(caller) as RoomhookError
  expect(error.constructor.name).toBe('ConfigError')
  expect(error.stack?.split('\n')[1]).toContain('caller')
})

test('an asynchronous native failure becomes its class, with the stack of the caller', async () => {
  const room = new native.NativeRoom()
  async function caller() {
    await awaitNative(() => room.setMetadata('x'))
  }
  const error = (await caller().catch((error: unknown) => error)) as RoomhookError
  expect(error.constructor.name).toBe('ConnectionError')
  expect(error.code).toBe('ROOM_DISCONNECTED')
  expect(error.stack).toContain('caller')
})

test('a rebuilt error keeps cause and retryable, and errors of other origin stay as they are', () => {
  const cause = new Error('disk')
  const nativeError = Object.assign(new Error('bad', { cause }), { code: 'STORE_UNAVAILABLE', retryable: true })
  expect(rebuild(nativeError)).toMatchObject({ name: 'ConnectionError', message: 'bad', retryable: true, cause })
  const other = new TypeError('other')
  expect(rebuild(other)).toBe(other)
  expect(rebuild('text')).toBe('text')
})

test('a wrong type for the native core is an Error too, never an abort', () => {
  for (const value of [null, undefined, 1, 'x', {}, Symbol('x')]) {
    expect(() => native.nativeWebhookVerifier(value as never)).toThrow(Error)
    expect(() => native.nativeVerifyWebhook(value as never, new Uint8Array(), '', '', undefined)).toThrow(Error)
  }
  expect(createWebhookVerifier({ secrets: 'a secret of sixteen bytes' })).toBeDefined()
})

// A panic in a synchronous export without it ends the process (docs of napi, and measured).
test('every synchronous native export catches panics', () => {
  const folder = join(root, 'src/node')
  const exported = /#\[napi(?:\(([^)]*(?:\([^)]*\)[^)]*)*)\))?\]\s*(?:#\[[^\]]*\]\s*)*pub (async )?fn (\w+)/g
  const unguarded: string[] = []
  let count = 0
  for (const file of readdirSync(folder, { recursive: true }) as string[]) {
    if (!file.endsWith('.rs')) continue
    for (const [, options = '', asynchronous, name] of readFileSync(join(folder, file), 'utf8').matchAll(exported)) {
      count += 1
      if (asynchronous || options.includes('module_exports') || options.includes('catch_unwind')) continue
      unguarded.push(`${file}: ${name}`)
    }
  }
  expect(unguarded).toEqual([])
  expect(count).toBeGreaterThan(10)
})
