// Where inference requests go and with which token. The secret stays in the core; tokens are minted there and shared
// until shortly before they expire. It refuses to answer with an expired token or an empty key.

import { randomBytes } from 'node:crypto'
import { callNative, native } from '../base/native.js'
import { checkInteger, checkString } from '../base/options.js'

/** Options of everything that talks to the gateway. */
export interface GatewayOptions {
  /**
   * The gateway's base URL (`http`, `https`, `ws` or `wss`, without credentials, query and fragment). Default:
   * `LIVEKIT_INFERENCE_URL`, else LiveKit's gateway (staging, if `LIVEKIT_URL` is a staging one).
   */
  baseURL?: string | undefined
  /** Default: `LIVEKIT_INFERENCE_API_KEY`, else `LIVEKIT_API_KEY`. */
  apiKey?: string | undefined
  /** Default: `LIVEKIT_INFERENCE_API_SECRET`, else `LIVEKIT_API_SECRET`. */
  apiSecret?: string | undefined
  /** How long a token lives, 10 to 86400 seconds. Default: 600. */
  tokenTtlSeconds?: number | undefined
}

/** The names of `GatewayOptions`, for the check of an options object that includes them. */
export const GATEWAY_KEYS = ['baseURL', 'apiKey', 'apiSecret', 'tokenTtlSeconds'] as const

/** The longest time before its end at which a token is replaced. */
const MARGIN_SECONDS = 60

/** A gateway: base URL and tokens. */
export class GatewayAccess {
  /** `http` or `https`, without a slash at the end. */
  readonly baseURL: string
  readonly #native: InstanceType<typeof native.InferenceGateway>
  readonly #ttlSeconds: number
  #token = ''
  #renewAt = 0

  /** @throws ConfigError `CONFIG_INVALID` when a key is missing or the URL is malformed. */
  constructor(options: GatewayOptions, path: string) {
    const { baseURL, apiKey, apiSecret, tokenTtlSeconds = 600 } = options
    this.#ttlSeconds = checkInteger(tokenTtlSeconds, `${path}.tokenTtlSeconds`, 10, 86_400)
    this.#native = callNative(
      () =>
        new native.InferenceGateway({
          ...(baseURL === undefined ? {} : { baseUrl: checkString(baseURL, `${path}.baseURL`) }),
          ...(apiKey === undefined ? {} : { apiKey: checkString(apiKey, `${path}.apiKey`) }),
          ...(apiSecret === undefined ? {} : { apiSecret: checkString(apiSecret, `${path}.apiSecret`) }),
          environment: variables(),
        }),
    )
    this.baseURL = this.#native.baseUrl
  }

  /** The current token; a fresh one when the current one is about to expire. */
  token(): string {
    return Date.now() < this.#renewAt ? this.#token : this.#mint()
  }

  /** The token to use after the gateway refused one: a fresh one only if nobody has replaced the refused one since. */
  tokenAfter(refused: string): string {
    return refused === this.#token ? this.#mint() : this.token()
  }

  /** The WebSocket URL of a service. */
  socketURL(service: string, query: readonly (readonly [string, string])[]): string {
    return callNative(() => this.#native.socketUrl(service, query as [string, string][]))
  }

  #mint(): string {
    const now = Date.now()
    const margin = Math.min(MARGIN_SECONDS, this.#ttlSeconds / 2)
    const id = randomBytes(6).toString('hex')
    this.#token = callNative(() => this.#native.token(Math.floor(now / 1000), this.#ttlSeconds, id))
    this.#renewAt = now + (this.#ttlSeconds - margin) * 1000
    return this.#token
  }
}

function variables(): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of callNative(() => native.inferenceVariables())) {
    const value = process.env[name]
    if (value !== undefined) found[name] = value
  }
  return found
}
