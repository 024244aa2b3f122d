// Building and merging the headers of one request, written out by hand in plain JavaScript from the precedence table of
// docs/inference.md alone: what a careful user would write. Tests compare the package with it on random input, the
// benchmark compares their cost. It knows nothing of the package.

const OWNED = new Set(
  [
    'Authorization',
    'X-LiveKit-Room-Id',
    'X-LiveKit-Job-Id',
    'X-LiveKit-Agent-Id',
    'X-LiveKit-Worker-Token',
    'X-LiveKit-Session-ID',
    'X-LiveKit-Inference-Provider',
    'X-LiveKit-Inference-Priority',
  ].map((name) => name.toLowerCase()),
)
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$/
const VALUE = /^[\t -~]{0,8192}$/

/**
 * @param {{ userAgent: string, hook?: Record<string, string>, call?: [string, unknown][],
 *   job?: { id: unknown, room?: { sid?: unknown }, liveRoom?: { isConnected: boolean, localParticipant?: { sid?: unknown } } },
 *   workerToken?: string, token?: string }} request
 * @returns {Record<string, string>}
 */
export function twinHeaders({ userAgent, hook = {}, call = [], job, workerToken, token }) {
  const merged = new Map()
  const put = (name, value) => merged.set(name.toLowerCase(), [name, value])
  put('User-Agent', userAgent)
  for (const [name, value] of Object.entries(hook)) put(name, value)
  for (const [name, value] of call) {
    const lower = name.toLowerCase()
    if (!NAME.test(name) || OWNED.has(lower) || lower === '__proto__') continue
    if (typeof value === 'string' && VALUE.test(value)) put(name, value)
  }
  const own = (name, value) => {
    if (typeof value === 'string' && VALUE.test(value) && value.trim() !== '') put(name, value)
  }
  if (job !== undefined) {
    own('X-LiveKit-Room-Id', job.room?.sid)
    own('X-LiveKit-Job-Id', job.id)
    if (job.liveRoom?.isConnected === true) own('X-LiveKit-Agent-Id', job.liveRoom.localParticipant?.sid)
    own('X-LiveKit-Worker-Token', workerToken)
  }
  if (token !== undefined) own('Authorization', `Bearer ${token}`)
  return Object.fromEntries(merged.values())
}
