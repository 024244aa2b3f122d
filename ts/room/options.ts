// The options of rooms and publications: what may be given, the defaults, and the complete objects that cross to the
// native core. Options that do nothing here are refused like misspelt ones.

import { checkSignal } from '../base/abort.js'
import type { native } from '../base/native.js'
import { checkBoolean, checkInteger, checkOptions, checkString, checkText, invalid } from '../base/options.js'
import type { ContinualGatheringPolicy, IceTransportType, TrackSource } from './enums.js'

/** One ICE server. */
export interface IceServer {
  /** Its URLs, such as `turn:turn.example.com:3478?transport=udp`. */
  urls: string[]
  /** User name. Default: none. */
  username?: string | undefined
  /** Password. Default: none. */
  password?: string | undefined
}

/** ICE settings instead of the server's. */
export interface RtcConfiguration {
  /** Which candidates may be used. Default: all. */
  iceTransportType?: IceTransportType | undefined
  /** Whether candidates are gathered again when networks change. Default: continually. */
  continualGatheringPolicy?: ContinualGatheringPolicy | undefined
  /** ICE servers. Default: those the server names. */
  iceServers?: IceServer[] | undefined
}

/** How a room is joined. */
export interface RoomOptions {
  /** Receive every track as it is published. Default: true. */
  autoSubscribe?: boolean | undefined
  /** Publish only the video layers somebody watches. Default: false. */
  dynacast?: boolean | undefined
  /** Let the server pause video nobody looks at. Default: false. */
  adaptiveStream?: boolean | undefined
  /** ICE settings. Default: the server's. */
  rtcConfig?: RtcConfiguration | undefined
  /** How often a failed join is tried again before it is reported, 0 to 100. Default: 1. */
  joinRetries?: number | undefined
  /** How long one attempt may take, in milliseconds, 1 to 600000. Default: 5000. */
  connectTimeoutMs?: number | undefined
  /** Use one peer connection for both directions where the server can. Default: true. */
  singlePeerConnection?: boolean | undefined
  /** Gives the join up when it aborts: `connect` throws an `AbortError`. Default: none. */
  signal?: AbortSignal | undefined
}

/** @internal */
export function checkRoomOptions(given: RoomOptions | undefined): {
  native: native.NativeConnectOptions
  signal: AbortSignal | undefined
} {
  const options: RoomOptions = checkOptions(given, 'options', [
    'autoSubscribe',
    'dynacast',
    'adaptiveStream',
    'rtcConfig',
    'joinRetries',
    'connectTimeoutMs',
    'singlePeerConnection',
    'signal',
  ])
  const { autoSubscribe = true, dynacast = false, adaptiveStream = false, singlePeerConnection = true } = options
  const { joinRetries = 1, connectTimeoutMs = 5_000, rtcConfig } = options
  checkBoolean(autoSubscribe, 'options.autoSubscribe')
  checkBoolean(dynacast, 'options.dynacast')
  checkBoolean(adaptiveStream, 'options.adaptiveStream')
  checkBoolean(singlePeerConnection, 'options.singlePeerConnection')
  checkInteger(joinRetries, 'options.joinRetries', 0, 100)
  checkInteger(connectTimeoutMs, 'options.connectTimeoutMs', 1, 600_000)
  const ice = rtcConfig === undefined ? {} : { rtcConfig: checkRtcConfig(rtcConfig) }
  return {
    native: {
      autoSubscribe,
      dynacast,
      adaptiveStream,
      singlePeerConnection,
      joinRetries,
      connectTimeoutMs,
      ...ice,
    },
    signal: checkSignal(options.signal, 'options.signal'),
  }
}

function checkRtcConfig(given: RtcConfiguration): native.NativeRtcConfig {
  const path = 'options.rtcConfig'
  const config: RtcConfiguration = checkOptions(given, path, [
    'iceTransportType',
    'continualGatheringPolicy',
    'iceServers',
  ])
  const { iceTransportType, continualGatheringPolicy, iceServers = [] } = config
  const complete: native.NativeRtcConfig = { iceServers: [] }
  if (iceTransportType !== undefined) {
    complete.iceTransportType = checkInteger(iceTransportType, `${path}.iceTransportType`, 0, 2)
  }
  if (continualGatheringPolicy !== undefined) {
    complete.continualGatheringPolicy = checkInteger(continualGatheringPolicy, `${path}.continualGatheringPolicy`, 0, 1)
  }
  if (!Array.isArray(iceServers)) throw invalid(`${path}.iceServers`, 'an array', iceServers)
  complete.iceServers = iceServers.map((server, index) => checkIceServer(server, `${path}.iceServers[${index}]`))
  return complete
}

function checkIceServer(given: IceServer, path: string): native.NativeIceServer {
  const { urls, username = '', password = '' } = checkOptions(given, path, ['urls', 'username', 'password'])
  if (!Array.isArray(urls) || urls.length === 0) throw invalid(`${path}.urls`, 'an array of URLs', urls)
  return {
    urls: urls.map((url, index) => checkText(url, `${path}.urls[${index}]`)),
    username: checkString(username, `${path}.username`),
    password: checkString(password, `${path}.password`),
  }
}

/** How a track is published. What is left out is LiveKit's default. */
export class TrackPublishOptions {
  /** Bits a second, at most. */
  declare audioEncoding?: { maxBitrate: number | bigint } | undefined
  /** Send less while there is silence. */
  declare dtx?: boolean | undefined
  /** Send audio redundantly against packet loss. */
  declare red?: boolean | undefined
  /** Where the track comes from; others show it by that. */
  declare source?: TrackSource | undefined
  /** Tracks of the same stream are played in step. */
  declare stream?: string | undefined
  /** Send what was captured before anybody subscribed. */
  declare preconnectBuffer?: boolean | undefined
  /** Stops waiting for the publication; it may be made all the same. */
  declare signal?: AbortSignal | undefined

  constructor(options: Partial<TrackPublishOptions> = {}) {
    Object.assign(this, options)
  }
}

/** @internal */
export function checkPublishOptions(given: TrackPublishOptions | undefined): {
  native: native.NativePublishOptions
  signal: AbortSignal | undefined
} {
  const options: TrackPublishOptions = checkOptions(given, 'options', [
    'audioEncoding',
    'dtx',
    'red',
    'source',
    'stream',
    'preconnectBuffer',
    'signal',
  ])
  const complete: native.NativePublishOptions = {}
  const { audioEncoding, dtx, red, source, stream, preconnectBuffer } = options
  if (audioEncoding !== undefined) {
    const { maxBitrate } = checkOptions(audioEncoding, 'options.audioEncoding', ['maxBitrate'])
    const rate = typeof maxBitrate === 'bigint' ? Number(maxBitrate) : maxBitrate
    complete.audioMaxBitrate = checkInteger(rate, 'options.audioEncoding.maxBitrate', 500, 10_000_000)
  }
  if (dtx !== undefined) complete.dtx = checkBoolean(dtx, 'options.dtx')
  if (red !== undefined) complete.red = checkBoolean(red, 'options.red')
  if (source !== undefined) complete.source = checkInteger(source, 'options.source', 0, 4)
  if (stream !== undefined) complete.stream = checkString(stream, 'options.stream')
  if (preconnectBuffer !== undefined) {
    complete.preconnectBuffer = checkBoolean(preconnectBuffer, 'options.preconnectBuffer')
  }
  return { native: complete, signal: checkSignal(options.signal, 'options.signal') }
}
