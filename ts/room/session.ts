// One connection of a room: the native room and whether it is still there. Everything that needs a connected room asks
// here, and is refused with one error once it has ended.

import { ConnectionError } from '../base/errors.js'
import { awaitNative, callNative, type native } from '../base/native.js'

/** @internal */
export class Session {
  #ended = false
  /** Whether we are about to leave: that our tracks are taken back is part of it. */
  leaving = false

  constructor(readonly room: native.NativeRoom) {}

  get ended(): boolean {
    return this.#ended
  }

  end(): void {
    this.#ended = true
  }

  check(what: string): void {
    if (!this.#ended) return
    throw new ConnectionError('ROOM_DISCONNECTED', `${what} needs a connected room, and this one is disconnected`)
  }

  call<T>(what: string, call: (room: native.NativeRoom) => T): T {
    this.check(what)
    return callNative(() => call(this.room))
  }

  async ask<T>(what: string, ask: (room: native.NativeRoom) => Promise<T>): Promise<T> {
    this.check(what)
    return awaitNative(() => ask(this.room))
  }
}
