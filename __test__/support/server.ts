// The real livekit-server that tests start for themselves, and names for rooms that no other test uses.

export { LiveKitServer } from '../../scripts/livekit.mjs'

let counter = 0

/** A room name no other test uses. */
export function roomName(prefix = 'room'): string {
  counter += 1
  return `${prefix}-${process.pid}-${counter}-${Date.now().toString(36)}`
}
