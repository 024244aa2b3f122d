// The dispatcher's status API as a local server that records what it gets and answers as it is told to.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One report as it came in. */
export interface StatusReport {
  path: string
  bearer: string | undefined
  status: string
  error?: string
}

/** Takes job status. */
export class StatusDesk implements AsyncDisposable {
  readonly reports: StatusReport[] = []
  /** The statuses of the next answers; 200 when none are left. */
  answers: number[] = []
  readonly #waiting: { enough: () => boolean; resolve: () => void }[] = []

  private constructor(readonly server: Server) {}

  static async open(): Promise<StatusDesk> {
    const server = createServer()
    const desk = new StatusDesk(server)
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { status: string; error?: string }
      desk.reports.push({ path: request.url ?? '', bearer: request.headers.authorization, ...body })
      response.writeHead(desk.answers.shift() ?? 200, { 'content-type': 'application/json' }).end('{}')
      for (const waiter of desk.#waiting) if (waiter.enough()) waiter.resolve()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return desk
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** The fields of a webhook that lead here. */
  fields(jobId: string): { status_url: string; status_token: string } {
    return { status_url: `${this.url}/api/agents/jobs/${jobId}/status`, status_token: `status-token-of-${jobId}` }
  }

  /** The status words of one job, in order. */
  of(jobId: string): string[] {
    return this.reports.filter((report) => report.path.includes(`/${jobId}/`)).map((report) => report.status)
  }

  /** Resolves once so many reports came in. */
  async count(reports: number): Promise<StatusReport[]> {
    const enough = (): boolean => this.reports.length >= reports
    if (!enough()) await new Promise<void>((resolve) => this.#waiting.push({ enough, resolve }))
    return this.reports
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
