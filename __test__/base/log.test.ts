// F-R6: no error of others is logged as a whole, whoever logs it and whatever it is.

import { afterEach, beforeEach, expect, test } from 'vitest'
import { LoggedError, log } from '../../ts/base/log.js'
import { CapturedLogs } from '../support/logs.js'

let logs: CapturedLogs

beforeEach(() => {
  logs = new CapturedLogs()
})

afterEach(() => logs[Symbol.dispose]())

test('F-R6: of an error in any field, and of whatever the field `error` is, only name, message and stack are left', () => {
  const whole = Object.assign(new Error('a sentence'), { responseBody: 'private', requestBodyValues: { a: 'private' } })
  const foreign = { name: 'ForeignError', message: 'of another realm', body: 'private' }
  const hostile = {
    name: 'x',
    get message() {
      throw whole
    },
  }
  for (const error of [whole, foreign, hostile, { body: 'private' }, 'a text', undefined, null, Symbol('s')]) {
    log.error('it failed', { error, other: whole })
  }
  expect(logs.records).toHaveLength(8)
  for (const { fields } of logs.records) {
    expect(fields.error).toBeInstanceOf(LoggedError)
    expect(fields.other).toBeInstanceOf(LoggedError)
  }
  expect(logs.text()).not.toContain('private')
  const names = logs.records.map(({ fields }) => (fields.error as LoggedError).name)
  expect(names.slice(0, 2)).toEqual(['Error', 'ForeignError'])
})

test('messages lose their tokens and secrets, causes too', () => {
  const cause = new Error('GET /rtc?access_token=eyJhbGci.eyJpc3Mi.c2ln')
  log.warn('it failed', { error: new Error('whsec_c2VjcmV0 was wrong', { cause }) })
  expect(logs.text()).not.toMatch(/eyJ|whsec_c2/)
  expect(logs.records[0]?.fields.error).toMatchObject({ cause: { name: 'Error' } })
})
