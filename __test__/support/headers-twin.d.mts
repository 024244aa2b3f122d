/** See headers-twin.mjs. */
export function twinHeaders(request: {
  userAgent: string
  hook?: Record<string, string>
  call?: readonly (readonly [string, unknown])[]
  job?:
    | {
        id: unknown
        room?: { sid?: unknown }
        liveRoom?: { isConnected: boolean; localParticipant?: { sid?: unknown } }
      }
    | undefined
  workerToken?: string
  token?: string
}): Record<string, string>
