// An agent at work for tests: a real livekit-server, a desk that records job status, captured logs, and agents that get
// webhooks for rooms of their own.

import { once } from 'node:events'
import type { Agent, AgentOptions, Job, JobResult } from '../../ts/index.js'
import { DOORS, type Door, Openings, post } from './doors.js'
import { jobBody, sign } from './job-webhook.js'
import { CapturedLogs } from './logs.js'
import { LiveKitServer, roomName } from './server.js'
import { StatusDesk } from './status-desk.js'

/** A webhook for a room of its own. */
export interface Delivered {
  id: string
  room: string
  webhook: { body: string; headers: Record<string, string> }
}

/** Server, desk and logs of one test file. */
export class JobBench implements AsyncDisposable {
  readonly logs = new CapturedLogs()
  readonly #openings: Openings

  private constructor(
    readonly server: LiveKitServer,
    readonly desk: StatusDesk,
  ) {
    const express = DOORS.find(({ name }) => name === 'express')
    if (express === undefined) throw new Error('no door for Express')
    this.#openings = new Openings(express.open)
  }

  static async open(): Promise<JobBench> {
    return new JobBench(await LiveKitServer.start(), await StatusDesk.open())
  }

  /** An agent behind Express. */
  start(options: Partial<AgentOptions>): Promise<{ agent: Agent; door: Door }> {
    return this.#openings.agent(options)
  }

  /** Closes the agents of one test, and makes the desk take everything again. */
  async clear(): Promise<void> {
    await this.#openings.close()
    this.desk.answers = []
  }

  /** A job for a room of its own on the server, or as changed. */
  async webhook(change: Record<string, unknown> = {}, grants: object = {}): Promise<Delivered> {
    const room = (change.room as { name?: string } | undefined)?.name ?? roomName('job')
    const body = await jobBody({ room: { sid: `RM_${room}`, name: room }, server_url: this.server.url, ...change })
    const id = String(body.job_id)
    const access_token = await this.server.token('agent-1', room, grants)
    return { id, room, webhook: sign({ ...body, ...this.desk.fields(id), access_token, ...change }) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.logs[Symbol.dispose]()
    await this.desk[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
  }
}

/** The end of the next job. Not `events.once`, which would take the agent's errors for its own. */
export function ended(agent: Agent): Promise<{ job: Job; result: JobResult }> {
  return new Promise((resolve) => agent.once('jobEnded', (job, result) => resolve({ job, result })))
}

/** Posts a job and waits until its agent is in the room. */
export async function running(agent: Agent, door: Door, { webhook }: Delivered): Promise<Job> {
  const begun = once(agent, 'job')
  await post(door, webhook)
  const [job] = (await begun) as [Job]
  if (job.status === 'pending') await once(job, 'running')
  return job
}
