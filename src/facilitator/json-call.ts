import type { Dispatcher } from 'undici'

type Controller = Dispatcher.DispatchController

const ANSWER_BYTES_MAX = 1024 * 1024

export interface Call {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Over everything: the wait for a connection, the request, the last byte of the answer. */
  readonly timeoutMs: number
  /** Sent as JSON by POST; without it, the call is a GET. */
  readonly body?: unknown
  /**
   * Told the moment the request is written to a connection. Until then it waits for one (name
   * look-up, TCP, TLS, or a free place in the pool), and nobody can have read any of it.
   */
  readonly onSend?: () => void
}

export interface Answer {
  readonly status: number
  /** Undefined where the answer is not JSON. */
  readonly json: unknown
  readonly retryAfterSeconds: number | undefined
  /** Where a redirect leads to, as it was written; nobody follows it here. */
  readonly location: string | undefined
  /** `EXTENSION-RESPONSES` as it was written. */
  readonly extensionResponses: string | undefined
}

/**
 * One request with a JSON answer, whatever its status. Follows no redirect and repeats nothing.
 * Rejects when no whole answer of at most 1 MiB came in time.
 */
export function callJson(dispatcher: Dispatcher, call: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const reader = new AnswerReader(call, { resolve, reject })
    try {
      dispatcher.dispatch(toDispatch(call), reader)
    } catch (error) {
      reader.onResponseError(null, error)
    }
  })
}

function toDispatch({ url, headers, body }: Call): Dispatcher.DispatchOptions {
  const hasBody = body !== undefined
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: hasBody ? 'POST' : 'GET',
    headers: {
      ...headers,
      accept: 'application/json',
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
    },
    body: hasBody ? JSON.stringify(body) : null,
    // One deadline covers both, and the wait for a connection.
    headersTimeout: 0,
    bodyTimeout: 0,
  }
}

interface Outcome {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** Turns undici's callbacks for one request into one answer. */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #outcome: Outcome
  readonly #onSend: (() => void) | undefined
  readonly #deadline: NodeJS.Timeout
  #controller: Controller | null = null
  #timedOut: Error | null = null
  #status = 0
  #retryAfter: string | string[] | undefined
  #location: string | string[] | undefined
  #extensionResponses: string | string[] | undefined
  readonly #chunks: Buffer[] = []
  #bytes = 0

  constructor({ timeoutMs, onSend }: Call, outcome: Outcome) {
    this.#outcome = outcome
    this.#onSend = onSend
    this.#deadline = setTimeout(() => this.#giveUp(timeoutMs), timeoutMs)
  }

  onRequestStart(controller: Controller): void {
    // Thrown here, undici drops a request that was given up while it waited, and sends none of it.
    if (this.#timedOut !== null) throw this.#timedOut
    this.#controller = controller
    this.#onSend?.()
  }

  onResponseStart(
    _controller: Controller,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status
    this.#retryAfter = headers['retry-after']
    this.#location = headers['location']
    this.#extensionResponses = headers['extension-responses']
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes <= ANSWER_BYTES_MAX) this.#chunks.push(chunk)
    else controller.abort(new Error('The answer is larger than 1 MiB.'))
  }

  onResponseEnd(): void {
    clearTimeout(this.#deadline)
    this.#outcome.resolve({
      status: this.#status,
      json: parseJson(Buffer.concat(this.#chunks).toString('utf8')),
      retryAfterSeconds: readRetryAfter(this.#retryAfter),
      location: onlyOne(this.#location),
      extensionResponses: onlyOne(this.#extensionResponses),
    })
  }

  onResponseError(_controller: Controller | null, error: unknown): void {
    clearTimeout(this.#deadline)
    this.#outcome.reject(error)
  }

  #giveUp(timeoutMs: number): void {
    this.#timedOut = new Error(`There was no whole answer within ${timeoutMs} ms.`)
    // undici aborts nothing that still waits for a connection, so a dead host would outlast this.
    this.#outcome.reject(this.#timedOut)
    this.#controller?.abort(this.#timedOut)
  }
}

function onlyOne(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const RETRY_AFTER_SECONDS_MAX = 600

/** Seconds, or a date (RFC 9110, section 10.2.3); undefined where it is neither. */
function readRetryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined
  const seconds = /^\d+$/.test(value)
    ? Number(value)
    : / GMT$/.test(value)
      ? Math.ceil((Date.parse(value) - Date.now()) / 1000)
      : Number.NaN
  if (Number.isNaN(seconds)) return undefined
  return Math.min(Math.max(seconds, 1), RETRY_AFTER_SECONDS_MAX)
}
