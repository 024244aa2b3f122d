#!/usr/bin/env node
// The `roomhook` command. It decides how a dispatcher lives as a process: configuration from a file, one JSON line per
// event on standard output, one sentence on standard error for what went wrong, a drain when it is told to end. Exit codes:
// 0 ended as asked, 1 failed, 2 called wrongly.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import './base/core-log.js'
import { RoomhookError } from './base/errors.js'
import { logLevelOfEnvironment, setLogger } from './base/log.js'
import { callNative, native } from './base/native.js'
import { createDispatcherFromYaml, type Dispatcher } from './dispatcher/dispatcher.js'
import type { DispatcherEventMap } from './dispatcher/events.js'
import { JsonLines } from './dispatcher/json-lines.js'
import { untilTold } from './dispatcher/until-told.js'

const HELP = `roomhook: LiveKit agents launched by a signed webhook

  roomhook dispatch [--config roomhook.yaml]   turn LiveKit's jobs into webhooks
  roomhook --version                           show the version
  roomhook --help                              show this

dispatch writes one JSON line per event to standard output. SIGTERM, SIGINT and SIGHUP
take no new jobs, finish the deliveries under way, and end it; a second one ends it at once.
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

const lines = new JsonLines(process.stdout)
const line = lines.write.bind(lines)
// A sentence that nobody reads is no reason to fail in another way.
process.stderr.on('error', () => undefined)

/** How long the last lines may take to leave once everything else is over. */
const LAST_LINES_MS = 1_000

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : String(code)
    throw new Complaint(`the configuration ${path} cannot be read: ${why}`, 1)
  }
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
  let end: (why: string) => void = () => starting.abort()
  const stop = untilTold((why) => end(why))
  try {
    await dispatcher.start({ signal: starting.signal })
    const ended = new Promise<number>((resolve, reject) => {
      end = (why) => {
        line('info', 'draining', { signal: why, activeJobs: dispatcher.activeJobs })
        dispatcher.drain().then(resolve, reject)
      }
    })
    line('info', 'dispatching', { listen: dispatcher.address, url: dispatcher.url, pid: process.pid })
    const undelivered = await ended
    await dispatcher.close()
    line(undelivered === 0 ? 'info' : 'warn', 'closed', { undelivered })
  } catch (error) {
    if (!starting.signal.aborted) throw error
  } finally {
    stop()
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

/** One sentence. Of an error that is not ours only its name and where it came from: its text can hold anything. */
function sentence(error: unknown): string {
  if (error instanceof Complaint || RoomhookError.isInstance(error)) return error.message
  if (!(error instanceof Error)) return `failed with ${typeof error}`
  const where = error.stack?.split('\n').find((text) => text.trimStart().startsWith('at '))
  return `failed with ${error.name} ${where?.trim() ?? ''}; this is a fault of roomhook`
}

main(process.argv.slice(2))
  .catch((error: unknown) => {
    process.stderr.write(`roomhook: ${sentence(error)}\n`)
    process.exitCode = error instanceof Complaint ? error.exitCode : 1
  })
  .finally(async () => {
    await lines.flush(LAST_LINES_MS)
    // What still waits belongs to a reader that does not read, and would hold the process for ever.
    if (process.stdout.writableLength > 0) process.exit()
  })
