// The side that is measured: joins and leaves rooms with one of the libraries, on command, and answers how long each join
// took. Started by ../join.mjs as a process of its own.

const [library] = process.argv.slice(2)
const { Room } = await import(library === 'roomhook' ? '../../dist/index.js' : '@livekit/rtc-node')

async function join({ url, token }) {
  const room = new Room()
  const began = performance.now()
  await room.connect(url, token, { autoSubscribe: true, dynacast: false })
  const ms = performance.now() - began
  await room.disconnect()
  return ms
}

process.on('message', async (place) => process.send({ ms: await join(place) }))
process.on('disconnect', () => process.exit(0))
process.send({ ready: true })
