// The question whether to take a job: asked once, answered once, in time. A second answer and a late one are refused
// where they are given; no answer at all is a fault of the function.

import { ConfigError, JobError, RoomhookError } from '../base/errors.js'
import { checkOptions, checkString, checkStrings, checkText } from '../base/options.js'
import type { JobInfo } from '../webhook/notification.js'

/** How a job is accepted. What is left out, or empty, is the token's. */
export interface AcceptOptions {
  /** The identity to join with. It must be the token's, unless the request is an offer. Default: the token's. */
  identity?: string | undefined
  /** The display name to join with. */
  name?: string | undefined
  /** The participant metadata to join with. */
  metadata?: string | undefined
  /** The participant attributes to join with. */
  attributes?: Record<string, string> | undefined
}

/** An agent's answer, as it crosses to the native core. */
export type Decision =
  | ({ is: 'accepted' } & AcceptOptions)
  | { is: 'rejected'; reason?: string }
  | { is: 'identityMismatch' | 'threw' | 'timedOut' | 'closing' }

/** A job that waits for an answer. */
export class JobRequest {
  /** What the job is about. */
  readonly job: JobInfo
  /**
   * Whether this is an offer: the job is not assigned yet, carries no token, and is asked about again, as a job, if the
   * server chooses this agent.
   */
  readonly offer: boolean
  readonly #identity: string | undefined
  readonly #settle: (decision: Decision) => void
  #answered = false

  /** @internal */
  constructor(job: JobInfo, identity: string | undefined, offer: boolean, settle: (decision: Decision) => void) {
    this.job = job
    this.offer = offer
    this.#identity = identity
    this.#settle = settle
  }

  /**
   * Takes the job. It is answered at once; the entry function runs after the answer.
   *
   * @throws {ConfigError} `IDENTITY_MISMATCH` for an identity that the token does not carry; `CONFIG_INVALID`.
   * @throws {JobError} `JOB_STATE_CONFLICT` if it was answered before, or it comes too late.
   */
  accept(options?: AcceptOptions): void {
    const { identity, name, metadata, attributes } = checkOptions(options, 'options', [
      'identity',
      'name',
      'metadata',
      'attributes',
    ])
    if (identity !== undefined) this.#checkIdentity(checkText(identity, 'options.identity'))
    if (name !== undefined) checkString(name, 'options.name')
    if (metadata !== undefined) checkString(metadata, 'options.metadata')
    if (attributes !== undefined) checkStrings(attributes, 'options.attributes')
    this.#answer({
      is: 'accepted',
      ...(identity === undefined ? {} : { identity }),
      ...(name === undefined ? {} : { name }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(attributes === undefined ? {} : { attributes: { ...attributes } }),
    })
  }

  /**
   * Does not take the job: the dispatcher asks the next endpoint.
   *
   * @param reason For the dispatcher's log.
   * @throws {JobError} `JOB_STATE_CONFLICT` if it was answered before, or it comes too late.
   */
  reject(reason?: string): void {
    this.#answer({
      is: 'rejected',
      ...(reason === undefined ? {} : { reason: checkString(reason, 'reason') }),
    })
  }

  /**
   * Marks it as answered, by the agent itself when nobody else did. False if somebody had.
   *
   * @internal
   */
  take(): boolean {
    if (this.#answered) return false
    this.#answered = true
    return true
  }

  #answer(decision: Decision): void {
    if (!this.take()) {
      throw new JobError(
        'JOB_STATE_CONFLICT',
        'a job is answered once, and this one was: accepted, rejected or too late',
      )
    }
    this.#settle(decision)
  }

  #checkIdentity(identity: string): void {
    if (this.offer || identity === this.#identity) return
    throw new ConfigError(
      'IDENTITY_MISMATCH',
      'the job cannot be accepted under another identity than its token carries: leave identity out, or set participant_identity in the dispatcher',
    )
  }
}

/** Asks the user's function, and answers with what it decides or with what its silence means. */
export function ask(
  hook: (request: JobRequest) => unknown,
  job: JobInfo,
  about: { identity: string | undefined; offer: boolean; timeoutMs: number },
  failed: (error: unknown) => void,
): { decision: Promise<Decision>; settle: (decision: Decision) => void } {
  let resolve: (decision: Decision) => void = () => {}
  const decision = new Promise<Decision>((done) => {
    resolve = done
  })
  const request = new JobRequest(job, about.identity, about.offer, (answer) => finish(answer))
  const timer = setTimeout(() => {
    if (!request.take()) return
    failed(new JobError('HOOK_TIMEOUT', `request did not decide within ${about.timeoutMs} ms; it is asked again`))
    finish({ is: 'timedOut' })
  }, about.timeoutMs)
  const finish = (answer: Decision): void => {
    clearTimeout(timer)
    resolve(answer)
  }
  const fail = (error: unknown, answer: Decision): void => {
    failed(error)
    if (request.take()) finish(answer)
  }
  void run(hook, request).then(
    () => {
      if (!request.take()) return
      failed(new ConfigError('HOOK_RETURN_INVALID', 'request returned without calling accept() or reject()'))
      finish({ is: 'threw' })
    },
    (error: unknown) => {
      const mismatch = RoomhookError.isInstance(error) && error.code === 'IDENTITY_MISMATCH'
      fail(error, { is: mismatch ? 'identityMismatch' : 'threw' })
    },
  )
  return {
    decision,
    settle: (answer) => {
      if (request.take()) finish(answer)
    },
  }
}

async function run(hook: (request: JobRequest) => unknown, request: JobRequest): Promise<void> {
  await hook(request)
}
