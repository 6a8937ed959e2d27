import { type Dispatcher, errors } from 'undici'
import { RequestBodyTooLargeError } from '../errors.ts'
import type { HeaderRules } from './headers.ts'
import { PausedBody } from './paused-body.ts'
import type { UpstreamOutcome, UpstreamRequest } from './upstream.ts'

type Controller = Dispatcher.DispatchController

const GIVEN_UP = new Error('Nobody waits for this response any more.')

export interface Forwarding {
  readonly request: UpstreamRequest
  readonly rules: HeaderRules
  /** True while the connection in hand is being ended by a reset. */
  readonly wasReset: () => boolean
  /** Told the outcome; only the first counts. */
  readonly resolve: (outcome: UpstreamOutcome) => void
}

/** Turns undici's callbacks for one request into one outcome and one body. */
export class ForwardHandler implements Dispatcher.DispatchHandler {
  readonly #forwarding: Forwarding
  #controller: Controller | null = null
  #body: PausedBody | null = null
  /** The end of the connection is the only end that the body has. */
  #endsWithConnection = false
  gaveUp = false
  /** Told once, when the request no longer waits for a connection. */
  onLeftQueue: (() => void) | null = null

  constructor(forwarding: Forwarding) {
    this.#forwarding = forwarding
  }

  /** Ends the request, wherever it stands. Nothing is sent of one that still waits. */
  giveUp(kind: 'aborted' | 'timeout'): void {
    this.gaveUp = true
    this.#forwarding.resolve({ kind })
    this.#controller?.abort(GIVEN_UP)
  }

  onRequestStart(controller: Controller): void {
    this.#leaveQueue()
    // Thrown here, undici drops the request and keeps the connection; `abort` would end both.
    if (this.gaveUp) throw GIVEN_UP
    this.#controller = controller
  }

  onResponseStart(
    controller: Controller,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx are for this hop; 103 hints come again in the final head.
    if (status < 200) return
    const { request, rules, resolve } = this.#forwarding
    const isBodiless = request.method === 'HEAD' || status === 204 || status === 304
    const length = isBodiless ? 0 : toLength(headers)
    this.#endsWithConnection = length === null && headers['transfer-encoding'] === undefined
    this.#body = new PausedBody(controller, length)
    resolve({
      kind: 'response',
      status,
      headers: rules.forReply(toStrings(controller.rawHeaders)),
      body: this.#body,
    })
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#body?.write(chunk)
  }

  onResponseEnd(controller: Controller): void {
    const { rules, wasReset } = this.#forwarding
    if (this.#endsWithConnection && wasReset()) this.#body?.fail()
    else this.#body?.end(rules.forReply(toStrings(controller.rawTrailers)))
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    this.#leaveQueue()
    if (this.#body !== null) this.#body.fail()
    else this.#forwarding.resolve(toOutcome(error, this.#forwarding.request.body))
  }

  #leaveQueue(): void {
    this.onLeftQueue?.()
    this.onLeftQueue = null
  }
}

/** Null where the length is not said beforehand. */
function toLength(headers: Record<string, string | string[] | undefined>): number | null {
  const { 'content-length': length, 'transfer-encoding': encoding } = headers
  return typeof length === 'string' && encoding === undefined ? Number(length) : null
}

function toOutcome(error: Error, body: UpstreamRequest['body']): UpstreamOutcome {
  if (error instanceof RequestBodyTooLargeError) return { kind: 'body-too-large' }
  if (error instanceof errors.ConnectTimeoutError) return { kind: 'timeout' }
  // The client broke off its upload: with an error, or by closing without one.
  const bodyError = body === null || Buffer.isBuffer(body) ? null : body.errored
  if (error === bodyError || error instanceof errors.RequestAbortedError) return { kind: 'aborted' }
  return { kind: 'unreachable', detail: 'code' in error ? String(error.code) : error.name }
}

/** Header bytes are Latin-1 (RFC 9110 section 5.5); any other reading would change them. */
function toStrings(raw: Controller['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  return raw.map(text => (typeof text === 'string' ? text : text.toString('latin1')))
}
