// The provider's way to the gateway: what a call chose, put together with what the provider was made with, on the
// transports that everybody else uses. Credentials are looked up at the first call. No retry below a call that the AI SDK
// retries itself.

import { RoomhookError } from '../base/errors.js'
import { checkFunction, checkInteger, checkOptions, checkString } from '../base/options.js'
import { CALL_KEYS, checkChoices, type InferenceCallOptions } from '../inference/call.js'
import { type InferenceFetch, type InferenceResponse, inferenceFetch } from '../inference/fetch.js'
import { GATEWAY_KEYS, type GatewayOptions } from '../inference/gateway.js'
import { type InferenceJob, type InferencePriority, userAgent } from '../inference/metadata.js'
import { inferenceSocket } from '../inference/open-socket.js'
import type { HeaderTurn } from '../inference/turn.js'
import type { CallOptions } from './call-options.js'
import { gatewayRequestError, gatewayResponseError, tookTooLong } from './gateway-error.js'
import type { CallHeaders } from './spec.js'
import { Session } from './speech/session.js'
import { traceHeaders } from './trace.js'

/** Settings of a provider made by `livekit({ … })`. */
export interface LiveKitSettings extends GatewayOptions {
  /** The job that calls belong to. Default: the one whose `entry` is running. `null`: none. */
  job?: InferenceJob | null
  /** Whose hooks' headers chat calls carry. Default: those of the turns that a call is made in. */
  turn?: HeaderTurn
  /** The vendor that shall serve the calls. Default: the gateway's choice. */
  provider?: string
  /** The scheduling class of the calls: `priority`, `standard` or `low`. Default: the gateway's. */
  priority?: InferencePriority
  /** Sends a fresh `X-LiveKit-Session-ID` with each attempt when there is a job. Default: false. */
  sessionId?: boolean
  /** The `fetch` that chat requests are sent with. Default: the global one. */
  fetch?: typeof fetch
  /**
   * How long the gateway may take to begin an answer or to open a socket, 1 to 3600000 ms. Default: 10000, and 300000 for
   * a chat answer that is not streamed, which begins when it is complete.
   */
  timeoutMs?: number
}

// Node's own limit for the headers of an answer, which no option of fetch lifts.
const WHOLE_ANSWER_MS = 300_000
const FIRST_BYTE_MS = 10_000

/** What one call chooses. */
export interface CallChoices extends CallOptions {
  headers?: CallHeaders | undefined
  signal?: AbortSignal | undefined
}

/** See the top of the file. */
export class GatewayClient {
  readonly #gateway: GatewayOptions
  readonly #choices: InferenceCallOptions
  readonly #fetch: typeof fetch | undefined
  readonly #timeoutMs: number | undefined
  readonly #transports = new Map<number, InferenceFetch>()

  /** @throws ConfigError `CONFIG_INVALID` for a wrong setting; missing keys are found at the first call. */
  constructor(settings: LiveKitSettings | undefined) {
    const given = checkOptions(settings, 'settings', [
      ...GATEWAY_KEYS,
      ...CALL_KEYS.filter((key) => key !== 'room'),
      'fetch',
      'timeoutMs',
    ])
    checkChoices(given, 'settings')
    for (const key of ['baseURL', 'apiKey', 'apiSecret'] as const) {
      if (given[key] !== undefined) checkString(given[key], `settings.${key}`)
    }
    const { tokenTtlSeconds, fetch, timeoutMs } = given
    if (tokenTtlSeconds !== undefined) checkInteger(tokenTtlSeconds, 'settings.tokenTtlSeconds', 10, 86_400)
    if (timeoutMs !== undefined) checkInteger(timeoutMs, 'settings.timeoutMs', 1, 3_600_000)
    if (fetch !== undefined) checkFunction(fetch, 'settings.fetch')
    this.#gateway = pick(given, GATEWAY_KEYS)
    this.#choices = pick(given, ['job', 'turn', 'provider', 'priority', 'sessionId'])
    this.#fetch = fetch
    this.#timeoutMs = timeoutMs
  }

  /** Posts JSON. Anything but a 2xx is an error that says whether to try again. */
  async post(path: string, body: object, call: CallChoices, streaming: boolean): Promise<InferenceResponse> {
    const timeoutMs = this.#timeoutMs ?? (streaming ? FIRST_BYTE_MS : WHOLE_ANSWER_MS)
    const send = this.#transport(timeoutMs)
    const { headers, signal, ...inference } = call
    let response: InferenceResponse
    try {
      response = await send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...callHeaders(headers) },
        body: JSON.stringify(body),
        inference,
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      if (isSlow(error)) {
        const message = `expected an answer of the inference gateway within ${timeoutMs} ms; it may be at work on it, so set a longer timeoutMs`
        throw tookTooLong(message, timeoutMs)
      }
      throw gatewayRequestError(path, error)
    }
    if (response.ok) return response
    throw gatewayResponseError(path, response, await response.text().catch(() => ''))
  }

  /** Opens a session. `retry`: whether nobody above tries again. */
  async open(service: 'stt' | 'tts', model: string, call: CallChoices, retry: boolean): Promise<Session> {
    const { headers, signal, ...inference } = call
    const { turn: _, ...choices } = this.#choices
    try {
      const socket = await inferenceSocket({
        ...this.#gateway,
        ...choices,
        ...inference,
        service,
        query: { model },
        headers: callHeaders(headers),
        ...(this.#timeoutMs === undefined ? {} : { connectTimeoutMs: this.#timeoutMs }),
        ...(retry ? {} : { retry: false as const }),
        ...(signal === undefined ? {} : { signal }),
      })
      return new Session(socket, `/${service}`)
    } catch (error) {
      throw gatewayRequestError(`/${service}`, error)
    }
  }

  // Made at the first call, so that a provider can be made before the environment is complete.
  #transport(timeoutMs: number): InferenceFetch {
    const made = this.#transports.get(timeoutMs)
    if (made !== undefined) return made
    const transport = inferenceFetch({
      ...this.#gateway,
      ...this.#choices,
      ...(this.#fetch === undefined ? {} : { fetch: this.#fetch }),
      timeoutMs,
      retry: false,
    })
    this.#transports.set(timeoutMs, transport)
    return transport
  }
}

/** Whether a request was not answered in time: by our clock or by that of Node's fetch. */
function isSlow(error: unknown): boolean {
  if (RoomhookError.isInstance(error)) return error.code === 'TIMED_OUT'
  return (error as { cause?: { code?: unknown } } | null)?.cause?.code === 'UND_ERR_HEADERS_TIMEOUT'
}

/** The members that are set. */
function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]])) as Pick<T, K>
}

// The AI SDK names itself in every call's `user-agent`. That is no caller's choice, so it follows our name and does not
// replace it.
const SDK_AGENT = /^ai\/\S+$/

function callHeaders(headers: CallHeaders | undefined): Record<string, string> {
  const all: Record<string, string> = traceHeaders()
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value === undefined || value === null) continue
    const isAgent = name.toLowerCase() === 'user-agent' && SDK_AGENT.test(value)
    all[name] = isAgent ? `${userAgent()} ${value}` : value
  }
  return all
}
