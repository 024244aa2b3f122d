// Promises that may be left alone, and waiting for what happens once.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigError } from '../../ts/base/errors.js'
import { Happening, handOut, harmless } from '../../ts/base/promises.js'
import { CapturedLogs } from '../support/logs.js'

const unseen: unknown[] = []
const see = (error: unknown): unknown => unseen.push(error)

beforeEach(() => {
  process.on('unhandledRejection', see)
})

afterEach(async () => {
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  process.off('unhandledRejection', see)
  expect(unseen.splice(0)).toEqual([])
})

class Caller {
  static {
    harmless(Caller)
  }

  async fail(_first: string, _second: string): Promise<never> {
    throw new ConfigError('CONFIG_INVALID', 'the secret message')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    throw new Error('not closed')
  }

  throws(): never {
    throw new Error('at once')
  }
}

test('F-R5: a rejection that nobody awaits ends no process, and is told without its message', async () => {
  using logs = new CapturedLogs()
  void new Caller().fail('', '')
  void new Caller()[Symbol.asyncDispose]()
  await logs.until('a call failed, and nobody awaited its promise')
  await new Promise((resolve) => setImmediate(resolve))
  expect(logs.matching('warn', { call: 'Caller.fail', code: 'CONFIG_INVALID' })).toHaveLength(1)
  expect(logs.text()).not.toContain('the secret message')
})

test('who awaits still gets the error, and methods look as they did', async () => {
  await expect(new Caller().fail('', '')).rejects.toThrow('the secret message')
  expect(() => new Caller().throws()).toThrow('at once')
  expect([new Caller().fail.name, new Caller().fail.length]).toEqual(['fail', 2])
})

test('what happened is told to all who wait and to those who come later, once', async () => {
  const happening = new Happening<number>()
  const waiting = [happening.wait(undefined), happening.wait(new AbortController().signal)]
  happening.happened(1)
  happening.happened(2)
  happening.never(() => new Error('too late'))
  expect(await Promise.all([...waiting, happening.wait(undefined)])).toEqual([1, 1, 1])
})

test('what cannot happen any more rejects only for those who wait, each with an error of its own', async () => {
  const happening = new Happening<void>()
  const waiting = [happening.wait(undefined), happening.wait(undefined)]
  happening.never(() => new Error('over'))
  const errors = await Promise.all([...waiting, happening.wait(undefined)].map((wait) => wait.catch((error) => error)))
  expect(errors.map((error) => error.message)).toEqual(['over', 'over', 'over'])
  expect(new Set(errors).size).toBe(3)
  new Happening<void>().never(() => new Error('nobody waits'))
})

test('a signal ends one wait and no other', async () => {
  const happening = new Happening<string>()
  const controller = new AbortController()
  const mine = happening.wait(controller.signal)
  const other = happening.wait(undefined)
  controller.abort()
  await expect(mine).rejects.toMatchObject({ code: 'ABORTED' })
  happening.happened('now')
  expect(await other).toBe('now')
})

test('one that is awaited, in whatever way, is told to whoever awaits it and to nobody else', async () => {
  using logs = new CapturedLogs()
  const failing = () => handOut(Promise.reject(new Error('no luck')))
  await expect(failing()).rejects.toThrow('no luck')
  await expect(failing().catch((error: Error) => error.message)).resolves.toBe('no luck')
  await expect(Promise.race([failing()])).rejects.toThrow('no luck')
  const settled = await Promise.allSettled([failing(), handOut(Promise.resolve(5))])
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(logs.records).toEqual([])
})

test('whoever hands a promise out may hear of what nobody saw', async () => {
  const heard: unknown[] = []
  void handOut(Promise.reject('no luck'), (error) => heard.push(error))
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(heard).toEqual(['no luck'])
})
