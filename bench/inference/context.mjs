// Where the benchmark's gateway is, and the job its requests belong to. Told to the children by bench/inference.mjs.

import { setCurrentJobLookup } from '../../dist/inference/metadata.js'

export const [baseURL, ...rest] = process.argv.slice(2)
export const keys = { baseURL, apiKey: 'key', apiSecret: 'secret-of-at-least-thirty-two-bytes' }

const job = {
  id: 'AJ_bench',
  room: { sid: 'RM_bench' },
  liveRoom: { isConnected: true, localParticipant: { sid: 'PA_bench' } },
}
setCurrentJobLookup(() => job)
