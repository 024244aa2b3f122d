// When a dispatcher that is a process of its own has to end: a signal, or the end of the npm that started it, which passes
// signals on to its shell and not to us. It decides nothing about how the end goes.

import { readFileSync } from 'node:fs'

const SIGNALS = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const

/** One press of Ctrl-C can arrive twice, from the terminal and from npm. */
const SAME_PRESS_MS = 500
/** How often the parents are looked at. */
const LOOK_EVERY_MS = 500

/** The process that started us and, where the system tells, the one that started that: npm starts a shell that starts us. */
function parents(): string {
  const parent = process.ppid
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, 'utf8')
    // After the name in brackets, which may hold anything: state, parent.
    return `${parent} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`
  } catch {
    return String(parent)
  }
}

/**
 * Calls `end` once, with what told us to end. A signal after that, half a second later or more, ends the process at once.
 * Returns how to stop listening.
 */
export function untilTold(end: (why: string) => void): () => void {
  let toldAt: number | undefined
  const told = (why: string) => {
    if (toldAt !== undefined) return
    toldAt = performance.now()
    end(why)
  }
  const stops: (() => void)[] = (Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]).map((signal) => {
    const listener = () => {
      if (toldAt !== undefined && performance.now() - toldAt > SAME_PRESS_MS) process.exit(SIGNALS[signal])
      told(signal)
    }
    process.on(signal, listener)
    return () => {
      process.off(signal, listener)
    }
  })
  // Every npm-like tool sets it. Whoever else starts us may go: a shell, a session, an init script.
  if (process.env.npm_config_user_agent !== undefined) {
    const first = parents()
    const timer = setInterval(() => {
      if (parents() !== first) told('the process that started it is gone')
    }, LOOK_EVERY_MS)
    stops.push(() => clearInterval(timer))
  }
  return () => {
    for (const stop of stops) stop()
  }
}
