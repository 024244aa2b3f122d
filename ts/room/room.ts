// The room as its user holds it: join, leave, who is there, events. It refuses to be joined twice at a time, and to
// announce anything after `disconnected`.

import { checkWait, type WaitOptions, withSignal } from '../base/abort.js'
import { ConfigError, ConnectionError } from '../base/errors.js'
import { TypedEmitter } from '../base/events.js'
import { log } from '../base/log.js'
import { awaitNative, callNative, native } from '../base/native.js'
import { checkInteger, checkText, checkUrl } from '../base/options.js'
import { Happening, harmless } from '../base/promises.js'
import { applyEvent, type RoomPicture } from './apply.js'
import { prepareEngine } from './engine.js'
import { ConnectionState, DisconnectReason, SimulateScenarioKind } from './enums.js'
import type { RoomEventMap } from './events.js'
import { LocalParticipant } from './local-participant.js'
import { checkRoomOptions, type RoomOptions } from './options.js'
import { RemoteParticipant } from './participant.js'
import { RemoteTrackPublication } from './publication.js'
import { Session } from './session.js'
import type { RoomInfo, Snapshot, WireEvent } from './wire.js'

/** Events fetched in one crossing. */
const BATCH = 64

interface Deferred<T> {
  promise: Promise<T>
  resolve: (value: T) => void
  settled: boolean
}

function deferred<T>(): Deferred<T> {
  const result = { settled: false } as Deferred<T>
  result.promise = new Promise((resolve) => {
    result.resolve = (value) => {
      result.settled = true
      resolve(value)
    }
  })
  return result
}

/** Everything queued so far runs first, what it awaits in turn included. */
function afterListeners(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

/**
 * A LiveKit room. Join it with `connect`, leave it with `disconnect`; in between it keeps the process alive. It can be
 * joined again after it was left; its listeners stay.
 *
 * Listeners attached in the tick after `connect` resolves miss nothing.
 */
export class Room extends TypedEmitter<RoomEventMap> {
  static {
    harmless(Room)
  }

  /** Who else is there, by identity. */
  remoteParticipants: Map<string, RemoteParticipant> = new Map()
  /** This process in the room; undefined before the first join. */
  localParticipant: LocalParticipant | undefined
  #state: ConnectionState = ConnectionState.CONN_DISCONNECTED
  #joining: native.NativeRoom | undefined
  #picture: RoomPicture | undefined
  #closed = deferred<DisconnectReason>()
  /** Whether anybody listened to what was announced since it was last looked at. */
  #heard = false
  #sid = new Happening<string>()

  /** The state of the connection. */
  get connectionState(): ConnectionState {
    return this.#state
  }

  /** Whether the room is joined; also while it reconnects. */
  get isConnected(): boolean {
    return this.#state !== ConnectionState.CONN_DISCONNECTED
  }

  /** The room's name, once joined. */
  get name(): string | undefined {
    return this.#info?.name
  }

  /** The room's metadata, once joined. */
  get metadata(): string | undefined {
    return this.#info?.metadata
  }

  /** Participants, as the server last told. */
  get numParticipants(): number {
    return this.#info?.numParticipants ?? 0
  }

  /** Publishing participants, as the server last told. */
  get numPublishers(): number {
    return this.#info?.numPublishers ?? 0
  }

  /** When the room was created. */
  get creationTime(): Date {
    return new Date(this.#info?.creationTime ?? 0)
  }

  /** Whether the room is being recorded. */
  get isRecording(): boolean {
    return this.#info?.activeRecording ?? false
  }

  /** Seconds after the last participant left at which the room closes. */
  get departureTimeout(): number {
    return this.#info?.departureTimeout ?? 0
  }

  /** Seconds after creation at which a room nobody joined closes. */
  get emptyTimeout(): number {
    return this.#info?.emptyTimeout ?? 0
  }

  /**
   * Data packets dropped because the listeners did not keep up: lossy ones while 1024 events wait, reliable ones (which
   * `dataDropped` tells) once 64 MiB more do.
   */
  get droppedDataPackets(): number {
    const room = this.#picture?.session.room
    return room === undefined ? 0 : callNative(() => room.counters()).dropped
  }

  /** Resolves with the reason once the room is left, by whichever side; never rejects. Pending before a join. */
  get closed(): Promise<DisconnectReason> {
    return this.#closed.promise
  }

  /**
   * Joins a room. Who is there already, with what they publish, is in `remoteParticipants` when it resolves; the tracks
   * subscribed to are announced by `trackSubscribed` afterwards.
   *
   * @param url The server, `wss://…` or `ws://…`.
   * @param token An access token with the grant to join.
   * @throws {ConfigError} `CONFIG_INVALID` for a wrong argument, or a room that is joined already.
   * @throws {ConnectionError} `ROOM_CONNECT_FAILED` if the server cannot be reached (retryable) or refuses the token (not);
   * `ENGINE_UNAVAILABLE` if the media library cannot be loaded.
   * @throws {ClosedError} `ABORTED` if the signal aborts, or `disconnect` is called meanwhile.
   */
  async connect(url: string, token: string, options?: RoomOptions): Promise<void> {
    checkUrl(url, 'url', ['wss', 'ws', 'https', 'http'])
    checkText(token, 'token')
    const { native: complete, signal } = checkRoomOptions(options)
    if (this.#joining !== undefined || this.isConnected) {
      throw new ConfigError('CONFIG_INVALID', 'the room is joined already: disconnect it first, or use another Room')
    }
    prepareEngine()
    const core = callNative(() => new native.NativeRoom())
    this.#joining = core
    try {
      const join = (): Promise<string> => awaitNative(() => core.connect(url, token, complete))
      const snapshot = await withSignal(signal, join, () => core.cancel())
      this.#enter(core, JSON.parse(snapshot) as Snapshot)
    } finally {
      this.#joining = undefined
    }
  }

  /** Leaves the room; resolves after `disconnected` was announced. Gives a join under way up. Repeating is harmless. */
  async disconnect(): Promise<void> {
    this.#joining?.cancel()
    const session = this.#picture?.session
    if (session === undefined || this.#closed.settled) return
    session.leaving = true
    const published = [...(this.localParticipant?.trackPublications.values() ?? [])]
    await awaitNative(() => session.room.disconnect())
    await this.#closed.promise
    for (const publication of published) publication.end('left')
  }

  /** Leaves the room. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect()
  }

  /**
   * The room's sid, `RM_…`, as soon as the server tells it; empty if the room is not joined.
   *
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room is left before.
   * @throws {ClosedError} `ABORTED` if the signal aborts.
   */
  async getSid(options?: WaitOptions): Promise<string> {
    const signal = checkWait(options)
    if (!this.isConnected) return ''
    return this.#info?.sid || (await this.#sid.wait(signal))
  }

  /**
   * Makes the media library act out a fault, such as a lost connection. For tests.
   *
   * @throws {ConnectionError} `ROOM_DISCONNECTED` if the room is not joined.
   */
  async simulateScenario(scenario: SimulateScenarioKind): Promise<void> {
    checkInteger(scenario, 'scenario', 0, SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME)
    const session = this.#picture?.session
    if (session === undefined) {
      throw new ConnectionError('ROOM_DISCONNECTED', 'simulateScenario needs a connected room, and this one is not')
    }
    await session.ask('simulateScenario', (room) => room.simulateScenario(scenario))
  }

  get #info(): RoomInfo | undefined {
    return this.#picture?.info
  }

  #enter(core: native.NativeRoom, { room, local, participants }: Snapshot): void {
    const session = new Session(core)
    const remote = new Map<string, RemoteParticipant>()
    for (const { participant: info, publications } of participants) {
      const participant = new RemoteParticipant(info)
      for (const publication of publications) {
        participant.trackPublications.set(publication.sid, new RemoteTrackPublication(publication, session))
      }
      remote.set(info.identity, participant)
    }
    this.localParticipant = new LocalParticipant(local, session)
    this.remoteParticipants = remote
    const picture: RoomPicture = {
      info: room,
      session,
      local: this.localParticipant,
      remote,
      announce: (event, ...args) => this.#announce(event, ...args),
      setConnectionState: (state) => this.#setState(state),
    }
    this.#picture = picture
    if (this.#closed.settled) this.#closed = deferred()
    this.#sid = new Happening()
    this.#setState(ConnectionState.CONN_CONNECTED)
    this.#announce('connected')
    setImmediate(() => void this.#pump(core, picture))
  }

  #announce<K extends keyof RoomEventMap & string>(event: K, ...args: RoomEventMap[K]): boolean {
    const heard = this.deliver(event, ...args)
    this.#heard = heard || this.#heard
    return heard
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state) return
    this.#state = state
    this.#announce('connectionStateChanged', state)
  }

  async #pump(core: native.NativeRoom, picture: RoomPicture): Promise<void> {
    let reason: DisconnectReason | undefined
    try {
      while (reason === undefined) {
        const batch = await awaitNative(() => core.nextEvents(BATCH))
        if (batch === null || batch === undefined) break
        reason = await this.#applyAll(picture, batch)
      }
    } catch (error) {
      log.error('the events of a room cannot be read any more', { error })
    }
    if (reason === undefined) {
      reason = DisconnectReason.UNKNOWN_REASON
      await applyEvent(picture, { type: 'disconnected', reason })
    }
    this.#sid.never(() => new ConnectionError('ROOM_DISCONNECTED', 'the room was left before the server told its sid'))
    this.#closed.resolve(reason)
  }

  /** Answers the reason if the room was left. */
  async #applyAll(picture: RoomPicture, batch: native.NativeEvents): Promise<DisconnectReason | undefined> {
    let offset = 0
    for (const event of JSON.parse(batch.events) as WireEvent[]) {
      let payload: Uint8Array | undefined
      if (event.type === 'dataReceived' && event.length > 0) {
        payload = new Uint8Array(batch.payloads?.subarray(offset, offset + event.length) ?? [])
        offset += event.length
      }
      this.#heard = false
      await applyEvent(picture, event, payload)
      if (event.type === 'disconnected') return event.reason
      if (event.type === 'roomSidChanged' && event.sid !== '') this.#sid.happened(event.sid)
      // As if each event had come alone: what a listener awaits may attach the listener of the next event.
      if (this.#heard) await afterListeners()
    }
    return undefined
  }
}
