// Brings the log records of the native core to the one sink of `setLogger`. It decides nothing about them, keeps no process
// alive, and hands over what still waits when the program ends.

import { followLevel, type LogRecord, pass } from './log.js'
import { native } from './native.js'

/** More than the core's queue holds, in calls: the end of a program must come even where its sink makes new records. */
const LAST_CALLS = 32

/** The bell rings again when more wait than one call hands over. */
function take(): number {
  const records = JSON.parse(native.takeLogs()) as LogRecord[]
  for (const record of records) pass(record)
  return records.length
}

let listening = false
followLevel((level) => {
  if (listening) native.setLogLevel(level)
  else native.listenToLogs(level, take)
  listening = true
})

process.on('exit', () => {
  for (let call = 0; call < LAST_CALLS && take() > 0; call++);
})
