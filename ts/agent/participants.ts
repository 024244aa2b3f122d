// Waiting for somebody in a job's room: who is there already, else who joins. It refuses to wait longer than the room or
// its signal lasts.

import { checkSignal, withSignal } from '../base/abort.js'
import { ConnectionError } from '../base/errors.js'
import { checkOptions, checkText, invalid } from '../base/options.js'
import { ParticipantKind } from '../room/enums.js'
import type { RemoteParticipant } from '../room/participant.js'
import type { Room } from '../room/room.js'

/** Whom to wait for. */
export interface WaitForParticipantOptions {
  /** Only the participant with this identity. Default: the one the job is for, else anybody. */
  identity?: string | undefined
  /**
   * Only participants of this kind, or of one of these. Default: with `identity` any kind, else `STANDARD`, `SIP` and
   * `CONNECTOR`: people, and no other agents.
   */
  kind?: ParticipantKind | readonly ParticipantKind[] | undefined
  /** Gives up. The job's own signal does, too. */
  signal?: AbortSignal | undefined
}

const PEOPLE: readonly ParticipantKind[] = [ParticipantKind.STANDARD, ParticipantKind.SIP, ParticipantKind.CONNECTOR]

/** Waits in a room, joined or about to be, until the signal of the job aborts. */
export async function waitForParticipant(
  room: Room,
  given: WaitForParticipantOptions | undefined,
  { identity: known, signal: ending }: { identity: string | undefined; signal: AbortSignal },
): Promise<RemoteParticipant> {
  const options = checkOptions(given, 'options', ['identity', 'kind', 'signal'])
  const identity = options.identity === undefined ? known : checkText(options.identity, 'options.identity')
  const kinds = checkKinds(options.kind, identity)
  const own = checkSignal(options.signal, 'options.signal')
  const signal = own === undefined ? ending : AbortSignal.any([ending, own])
  const wanted = (participant: RemoteParticipant): boolean =>
    (identity === undefined || participant.identity === identity) && (kinds?.includes(participant.kind) ?? true)
  const here = (): RemoteParticipant | undefined => [...room.remoteParticipants.values()].find(wanted)

  const found = room.isConnected ? here() : undefined
  if (found !== undefined) return found
  let stop = (): void => {}
  const joined = (): Promise<RemoteParticipant> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const participant = here()
        if (participant !== undefined) resolve(participant)
      }
      const gone = (): void =>
        reject(new ConnectionError('ROOM_DISCONNECTED', 'the room was left before such a participant joined'))
      room.on('participantConnected', look).on('connected', look).on('disconnected', gone)
      stop = () => void room.off('participantConnected', look).off('connected', look).off('disconnected', gone)
    })
  try {
    return await withSignal(signal, joined, () => {})
  } finally {
    stop()
  }
}

function checkKinds(given: unknown, identity: string | undefined): readonly unknown[] | undefined {
  if (given === undefined) return identity === undefined ? PEOPLE : undefined
  const kinds: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (kinds.every((kind) => typeof kind === 'number' && ParticipantKind[kind] !== undefined)) return kinds
  throw invalid('options.kind', 'a ParticipantKind or an array of them', given)
}
