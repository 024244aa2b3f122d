// What the children of ../inference.mjs have in common: where the gateway is, its keys, and the job that requests belong to.

import { setCurrentJobLookup } from '../../dist/inference/metadata.js'

export const [baseURL, ...rest] = process.argv.slice(2)
export const keys = { baseURL, apiKey: 'key', apiSecret: 'secret-of-at-least-thirty-two-bytes' }

const job = {
  id: 'AJ_bench',
  room: { sid: 'RM_bench' },
  liveRoom: { isConnected: true, localParticipant: { sid: 'PA_bench' } },
}
setCurrentJobLookup(() => job)
