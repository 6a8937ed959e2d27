import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { readJson, serveLocally } from './json-server.ts'

export interface StubRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/**
 * How a stub answers, once it has read the whole request:
 * JSON or text with a status; `hang` says nothing; `reset` cuts the connection; `trickle` sends the
 * head and then a byte now and then, without end.
 */
export type StubAnswer =
  | {
      readonly kind: 'answer'
      readonly status: number
      /** Sent as JSON, or as it is when it is a string. */
      readonly body: unknown
      readonly headers?: Record<string, string>
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'trickle'; readonly intervalMs: number }

export interface StubFacilitator {
  readonly url: string
  /** Whole requests, oldest first. */
  readonly requests: readonly StubRequest[]
  /** What is answered from now on, on every path. */
  answer: StubAnswer | ((request: StubRequest) => StubAnswer)
  close(): Promise<void>
}

/** A facilitator that does what a real one cannot be made to do. It settles nothing. */
export async function startStubFacilitator(
  answer: StubFacilitator['answer'] = { kind: 'hang' },
): Promise<StubFacilitator> {
  const requests: StubRequest[] = []
  const server = await serveLocally(async (request, response) => {
    const received = await read(request)
    requests.push(received)
    const current = stub.answer
    perform(typeof current === 'function' ? current(received) : current, response)
  })
  const stub: StubFacilitator = {
    url: server.url,
    requests,
    answer,
    close: server.close,
  }
  return stub
}

export function answerWith(body: unknown, status = 200, headers = {}): StubAnswer {
  return { kind: 'answer', status, body, headers }
}

async function read(request: IncomingMessage): Promise<StubRequest> {
  const { method = 'GET', url = '/', headers } = request
  const parsed = await readJson(request)
  return { method, path: url, headers, body: parsed.kind === 'json' ? parsed.value : null }
}

function perform(answer: StubAnswer, response: ServerResponse): void {
  switch (answer.kind) {
    case 'answer': {
      const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
      response.end(text)
      return
    }
    case 'reset':
      response.socket?.resetAndDestroy()
      return
    case 'trickle': {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{')
      const timer = setInterval(() => response.write(' '), answer.intervalMs)
      response.once('close', () => clearInterval(timer))
      return
    }
    case 'hang':
      return
  }
}
