// A real livekit-server of one's own, on loopback, for the demo, the benchmarks and the tests: started on free ports,
// ready when it answers, stopped by process id.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AccessToken, AgentDispatchClient, RoomServiceClient } from 'livekit-server-sdk'
import { freeTcpPort, freeUdpPort } from './ports.mjs'

const root = resolve(import.meta.dirname, '..')

function binary() {
  const path = process.env.ROOMHOOK_LIVEKIT_SERVER ?? join(root, '.cache', 'livekit-server')
  if (!existsSync(path)) throw new Error(`no livekit-server at ${path}: run \`npm run setup\` first`)
  return path
}

/** A running livekit-server and what is needed to talk to it. */
export class LiveKitServer {
  apiKey = 'devkey'
  apiSecret = 'a-loopback-secret-of-thirty-two-bytes!'
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process
  #log = ''
  /** @type {Set<() => void>} */
  #readers = new Set()
  #folder

  /**
   * @param {number} port
   * @param {string} folder
   */
  constructor(port, folder) {
    this.port = port
    this.#folder = folder
    this.url = `ws://127.0.0.1:${port}`
    this.httpUrl = `http://127.0.0.1:${port}`
    this.rooms = new RoomServiceClient(this.httpUrl, this.apiKey, this.apiSecret)
    this.dispatches = new AgentDispatchClient(this.httpUrl, this.apiKey, this.apiSecret)
  }

  /** Starts a server with its own ports, keys and configuration file. */
  static async start() {
    // A port that was free a moment ago can be taken by the time the server binds it: then others are chosen.
    for (let attempt = 1; ; attempt++) {
      try {
        return await LiveKitServer.#startOnce()
      } catch (error) {
        if (attempt === 3 || !/address already in use/.test(String(error))) throw error
      }
    }
  }

  static async #startOnce() {
    const [port, tcpPort, udpPort] = [await freeTcpPort(), await freeTcpPort(), await freeUdpPort()]
    const folder = await mkdtemp(join(tmpdir(), 'roomhook-livekit-'))
    const server = new LiveKitServer(port, folder)
    const config = {
      port,
      bind_addresses: ['127.0.0.1'],
      rtc: {
        node_ip: '127.0.0.1',
        use_external_ip: false,
        enable_loopback_candidate: true,
        interfaces: { includes: ['lo'] },
        tcp_port: tcpPort,
        udp_port: udpPort,
        // Without one of its own the server names public ones, and every participant looks them up.
        stun_servers: [`127.0.0.1:${udpPort}`],
      },
      keys: { [server.apiKey]: server.apiSecret },
      logging: { level: 'info' },
    }
    // JSON is YAML, so no YAML writer is needed.
    await writeFile(join(folder, 'livekit.yaml'), JSON.stringify(config))
    try {
      await server.launch()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  /** Starts the process again on the same ports after `kill`. */
  async launch() {
    const child = spawn(binary(), ['--config', join(this.#folder, 'livekit.yaml')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#log = (this.#log + chunk).slice(-200_000)
        for (const read of this.#readers) read()
      })
    }
    const deadline = Date.now() + 15_000
    for (;;) {
      const answer = await fetch(this.httpUrl).then(
        (response) => response.text(),
        () => '',
      )
      if (answer === 'OK') return
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`livekit-server did not start:\n${this.#log}`)
      }
      await delay(20)
    }
  }

  /** What the server logged, newest 200 kB. */
  get log() {
    return this.#log
  }

  /**
   * The first log line that contains all of these texts; waits for it, 10 s at most.
   * @param {string[]} texts
   * @returns {Promise<string>}
   */
  logLine(...texts) {
    return new Promise((resolve, reject) => {
      const read = () => {
        const line = this.#log.split('\n').find((each) => texts.every((text) => each.includes(text)))
        if (line === undefined) return
        stop()
        resolve(line)
      }
      const timer = setTimeout(() => {
        stop()
        reject(new Error(`livekit-server did not log ${texts.join(' … ')}:\n${this.#log}`))
      }, 10_000)
      const stop = () => {
        clearTimeout(timer)
        this.#readers.delete(read)
      }
      this.#readers.add(read)
      read()
    })
  }

  /**
   * Dispatches an agent into a room. LiveKit tells a worker that it is registered a moment before it would offer it a
   * job, and a dispatch in between is lost: so this waits until the server says that it knows a worker of this name.
   * @param {string} room
   * @param {string} agentName
   * @param {import('livekit-server-sdk').CreateDispatchOptions} [options]
   */
  async dispatch(room, agentName, options) {
    await this.logLine('worker registered', `"agentName": "${agentName}"`)
    return await this.dispatches.createDispatch(room, agentName, options)
  }

  /**
   * Ends the process: at once, as a crash would, unless told otherwise.
   * @param {NodeJS.Signals} signal
   */
  async kill(signal = 'SIGKILL') {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** Stops the server and removes its folder. */
  async [Symbol.asyncDispose]() {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /**
   * A join token.
   * @param {string} identity
   * @param {string} room
   * @param {import('livekit-server-sdk').VideoGrant} grant
   * @returns {Promise<string>}
   */
  token(identity, room, grant = {}) {
    const token = new AccessToken(this.apiKey, this.apiSecret, { identity, ttl: '10m' })
    token.addGrant({ roomJoin: true, room, canUpdateOwnMetadata: true, ...grant })
    return token.toJwt()
  }
}
