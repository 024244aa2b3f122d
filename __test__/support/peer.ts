// Drives the second participant (peer-process.mjs) from a test: commands, awaited events, measured audio.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isTone, type Sound } from './sound.js'

/** An event the peer saw, with its facts. */
export interface PeerEvent {
  event: string
  [fact: string]: unknown
}

/** What the peer hears of somebody, and how many frames of 10 ms that is. */
export interface Heard extends Sound {
  frames: number
}

/** `@livekit/rtc-node` in a child process. */
export class Peer implements AsyncDisposable {
  readonly events: PeerEvent[] = []
  readonly #child: ChildProcess
  readonly #answers = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  readonly #watchers = new Set<() => void>()
  #next = 1

  private constructor() {
    this.#child = fork(join(import.meta.dirname, 'peer-process.mjs'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child.on('message', (message: PeerEvent & { id?: number; result?: unknown; error?: string }) => {
      if (message.id === undefined) {
        this.events.push(message)
        for (const check of this.#watchers) check()
        return
      }
      const answer = this.#answers.get(message.id)
      this.#answers.delete(message.id)
      if (message.error === undefined) answer?.resolve(message.result as never)
      else answer?.reject(new Error(message.error))
    })
  }

  /** Starts the process. */
  static async start(): Promise<Peer> {
    const peer = new Peer()
    await peer.event('ready')
    return peer
  }

  /** Starts the process and joins a room. */
  static async join(url: string, token: string): Promise<Peer> {
    const peer = await Peer.start()
    await peer.call('join', { url, token })
    return peer
  }

  /** Runs one command of peer-process.mjs. */
  call<T = unknown>(command: string, args: Record<string, unknown> = {}): Promise<T> {
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#answers.set(id, { resolve, reject })
      this.#child.send({ id, command, args })
    })
  }

  /** Waits for an event, past ones included. */
  event(name: string, test: (event: PeerEvent) => boolean = () => true, timeoutMs = 10_000): Promise<PeerEvent> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.events.find((event) => event.event === name && test(event))
        if (found === undefined) return
        this.#watchers.delete(check)
        clearTimeout(timer)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#watchers.delete(check)
        const seen = this.events.map((event) => event.event).join(', ')
        reject(new Error(`the peer saw no "${name}" within ${timeoutMs} ms; it saw: ${seen}`))
      }, timeoutMs)
      this.#watchers.add(check)
      check()
    })
  }

  /** Waits until the peer has heard half a second of this tone (isTone in sound.ts) from somebody, from now on. */
  async hears(identity: string, frequency: number, timeoutMs = 15_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    await this.call('forget', { identity })
    for (;;) {
      const heard = await this.call<Heard>('measure', { identity, frames: 50 })
      if (heard.frames >= 50 && isTone(heard, frequency)) return
      if (Date.now() > deadline) {
        throw new Error(`the peer did not hear ${frequency} Hz from ${identity}, but ${JSON.stringify(heard)}`)
      }
      await delay(50)
    }
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }
}
