// Captures the package's log records, so that tests can say what was logged and what must not have been.

import type { LogRecord } from '../../ts/base/log.js'
import { listen } from './suite-log.js'

/** Captured records; the console is silent while it lives. */
export class CapturedLogs implements Disposable {
  readonly records: LogRecord[] = []
  readonly #watchers = new Set<() => void>()

  constructor() {
    listen((record) => {
      this.records.push(record)
      for (const check of this.#watchers) check()
    })
  }

  /** Waits for a record: those of the core come a moment after what they tell of. */
  until(message: string): Promise<LogRecord> {
    return new Promise((resolve) => {
      const check = (): void => {
        const found = this.records.find((record) => record.message === message)
        if (found === undefined) return
        this.#watchers.delete(check)
        resolve(found)
      }
      this.#watchers.add(check)
      check()
    })
  }

  /** Records of a level whose fields include these. */
  matching(level: LogRecord['level'], fields: Record<string, unknown> = {}): LogRecord[] {
    return this.records.filter(
      (record) =>
        record.level === level && Object.entries(fields).every(([name, value]) => record.fields[name] === value),
    )
  }

  /** Everything as one text: messages, fields, and what errors among them print. */
  text(): string {
    return this.records
      .map(
        ({ message, fields }) => `${message} ${JSON.stringify(fields, printable)} ${Object.values(fields).join(' ')}`,
      )
      .join('\n')
  }

  [Symbol.dispose](): void {
    listen()
  }
}

function printable(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack} ${String(value.cause)}` : value
}
