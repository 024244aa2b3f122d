#!/usr/bin/env node
// The `roomhook` command. It decides how a dispatcher lives as a process: configuration from a file, one JSON line per
// event on standard output, one sentence on standard error for what went wrong, a drain on SIGTERM. Exit codes: 0 ended
// as asked, 1 failed, 2 called wrongly.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import './base/core-log.js'
import { RoomhookError } from './base/errors.js'
import { logLevelOfEnvironment, setLogger } from './base/log.js'
import { callNative, native } from './base/native.js'
import { createDispatcherFromYaml, type Dispatcher } from './dispatcher/dispatcher.js'
import type { DispatcherEventMap } from './dispatcher/events.js'

const HELP = `roomhook: LiveKit agents launched by a signed webhook

  roomhook dispatch [--config roomhook.yaml]   turn LiveKit's jobs into webhooks
  roomhook --version                           show the version
  roomhook --help                              show this

dispatch writes one JSON line per event to standard output. SIGTERM and SIGINT take no
new jobs, finish the deliveries under way, and end it; a second one ends it at once.
Configuration: docs/operations.md`

/** Something the caller did; told in one sentence. */
class Complaint extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message)
  }
}

type EventName = Exclude<keyof DispatcherEventMap, 'error'>

/** Every event and how urgent its line is. */
const LEVELS: Record<EventName, 'info' | 'warn' | 'error'> = {
  registered: 'info',
  disconnected: 'warn',
  jobOffered: 'info',
  jobAssigned: 'info',
  attemptStarted: 'info',
  attemptFailed: 'warn',
  delivered: 'info',
  rejected: 'info',
  deliveryExhausted: 'error',
  endpointDisabled: 'error',
  jobRunning: 'info',
  jobEnded: 'info',
  atCapacity: 'warn',
  eventsDropped: 'warn',
}

function line(level: string, message: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`)
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : String(code)
    throw new Complaint(`the configuration ${path} cannot be read: ${why}`, 1)
  }
}

/** Drains on the first signal and ends at once on the second. Resolves to the number of deliveries left open. */
function untilSignal(dispatcher: Dispatcher): Promise<number> {
  return new Promise((resolve, reject) => {
    let draining = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (draining) process.exit(signal === 'SIGTERM' ? 143 : 130)
        draining = true
        line('info', 'draining', { signal, activeJobs: dispatcher.activeJobs })
        dispatcher.drain().then(resolve, reject)
      })
    }
  })
}

async function dispatch(path: string): Promise<void> {
  const level = logLevelOfEnvironment() ?? 'info'
  setLogger({ level, sink: ({ level, message, fields }) => line(level, message, fields) })
  let dispatcher: Dispatcher
  try {
    dispatcher = createDispatcherFromYaml(readConfig(path), process.env)
  } catch (error) {
    throw RoomhookError.isInstance(error) ? new Complaint(`${path}: ${error.message}`, 1) : error
  }
  for (const name of Object.keys(LEVELS) as EventName[]) {
    dispatcher.on(name, (event: object) => line(LEVELS[name], name, { ...event }))
  }
  const starting = new AbortController()
  const stop = () => starting.abort()
  process.once('SIGTERM', stop).once('SIGINT', stop)
  try {
    await dispatcher.start({ signal: starting.signal })
  } catch (error) {
    if (starting.signal.aborted) return
    throw error
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop)
  }
  const ended = untilSignal(dispatcher)
  line('info', 'dispatching', { listen: dispatcher.address, url: dispatcher.url, pid: process.pid })
  try {
    const undelivered = await ended
    await dispatcher.close()
    line(undelivered === 0 ? 'info' : 'warn', 'closed', { undelivered })
  } finally {
    await dispatcher.close()
  }
}

async function main(args: string[]): Promise<void> {
  const parsed = parse(args)
  const [command, ...rest] = parsed.positionals
  if (parsed.values.help === true) return void process.stdout.write(`${HELP}\n`)
  if (parsed.values.version === true) {
    return void process.stdout.write(`${callNative(() => native.nativeVersion())}\n`)
  }
  if (command === undefined) throw new Complaint(`what shall it do?\n\n${HELP}`, 2)
  if (command !== 'dispatch') throw new Complaint(`${command} is not a command; there is: dispatch`, 2)
  if (rest.length > 0) throw new Complaint(`dispatch takes no ${rest[0]}; name a file with --config`, 2)
  await dispatch(parsed.values.config ?? 'roomhook.yaml')
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    })
  } catch (error) {
    const message = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new Complaint(`${message}; see roomhook --help`, 2)
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const known = error instanceof Complaint || RoomhookError.isInstance(error)
  process.stderr.write(`roomhook: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = error instanceof Complaint ? error.exitCode : 1
})
