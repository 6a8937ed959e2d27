import type { Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { RequestBodyTooLargeError } from '../errors.ts'
import { faultOf } from './check-target.ts'
import type { HeaderRules } from './headers.ts'
import { Http2Controller, NotProcessedError } from './http2-request.ts'
import { PausedBody } from './paused-body.ts'
import type { Target } from './target.ts'
import type { TargetSet } from './target-set.ts'
import type { UpstreamOutcome, UpstreamRequest } from './upstream.ts'

type Controller = Dispatcher.DispatchController

const GIVEN_UP = new Error('Nobody waits for this response any more.')

/** Connections of one server, after the first, that a request may find ended before its turn. */
const RENEWALS_MAX = 5

export interface Forwarding {
  readonly request: UpstreamRequest
  /** How undici is asked; the path as it was matched. */
  readonly options: Dispatcher.DispatchOptions & { servername: string }
  readonly rules: HeaderRules
  /** Where it may go instead while nothing of it was sent. */
  readonly targets: Pick<TargetSet, 'pick'>
  /** Told the outcome; only the first counts. */
  readonly resolve: (outcome: UpstreamOutcome) => void
}

/** Turns undici's callbacks for one request into one outcome and one body. */
export class ForwardHandler implements Dispatcher.DispatchHandler {
  readonly #forwarding: Forwarding
  /** Where it is; null before it was handed to one, and after its end. */
  #target: Target | null = null
  /** Those that it does not go to again. */
  #tried: Target[] | null = null
  /** Connections that ended before they came to it. */
  #renewals = 0
  /** Null: nothing of the request was sent, for undici has not begun to write it. */
  #controller: Controller | null = null
  #body: PausedBody | null = null
  /** The end of the connection is the only end that the body has. */
  #endsWithConnection = false
  gaveUp = false

  constructor(forwarding: Forwarding) {
    this.#forwarding = forwarding
  }

  sendTo(target: Target): void {
    const { options, request } = this.#forwarding
    this.#target = target
    target.outstanding++
    options.path = target.basePath + request.target
    options.servername = target.servername
    target.connections.requests.dispatch(options, this, this.#renewals)
  }

  /** Ends the request, wherever it stands. Nothing is sent of one that still waits. */
  giveUp(kind: 'aborted' | 'timeout'): void {
    if (kind === 'timeout') this.#blame(this.#target, 'TIMEOUT')
    this.gaveUp = true
    this.#forwarding.resolve({ kind })
    this.#controller?.abort(GIVEN_UP)
  }

  onRequestStart(controller: Controller): void {
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
    this.#target?.health.answered()
    const { request, rules, resolve } = this.#forwarding
    const isBodiless = request.method === 'HEAD' || status === 204 || status === 304
    const length = isBodiless ? 0 : toLength(headers)
    this.#endsWithConnection = length === null && headers['transfer-encoding'] === undefined
    const isEmpty = controller instanceof Http2Controller && controller.endsWithHead
    this.#body = new PausedBody(controller, length, isEmpty)
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
    const target = this.#leave()
    if (this.#endsWithConnection && target?.connections.wasReset()) this.#body?.fail()
    else this.#body?.end(this.#forwarding.rules.forReply(toStrings(controller.rawTrailers)))
  }

  onResponseError(_controller: Controller | null, error: Error): void {
    const failed = this.#leave()
    if (this.#body !== null) this.#body.fail()
    else if (failed === null || !this.#sendAgain(failed, error)) this.#end(failed, error)
  }

  /** The target has answered, and its connection is HTTP no more: nothing is heard of it here. */
  protected handOver(): void {
    this.#leave()?.health.answered()
  }

  #end(failed: Target | null, error: Error): void {
    const outcome = toOutcome(error, this.#forwarding.request.body)
    if (outcome.kind === 'unreachable') this.#blame(failed, outcome.detail)
    this.#forwarding.resolve(outcome)
  }

  /** Only what can be shown not to have been acted upon by anybody is sent again. */
  #sendAgain(failed: Target, error: Error): boolean {
    const refused = error instanceof NotProcessedError ? error : null
    const wasSent = this.#controller !== null || !failed.connections.isConnectFailure(error)
    if ((wasSent && refused === null) || this.gaveUp) return false
    if (wasTouched(this.#forwarding.request.body)) return false
    const isRenewal = refused?.endsServedConnection === true && this.#renewals++ < RENEWALS_MAX
    if (!isRenewal) {
      this.#tried ??= []
      this.#tried.push(failed)
    }
    const next = this.#forwarding.targets.pick(this.#tried)
    if (next === null) return false
    if (refused !== null && !isRenewal) this.#blame(failed, refused.code)
    this.#controller = null
    this.sendTo(next)
    return true
  }

  /** A request that waited for its turn, or for the rest of its body, says nothing of a target. */
  #blame(target: Target | null, fault: string): void {
    const { body } = this.#forwarding.request
    const wasSent = this.#controller !== null && (!isStream(body) || body.readableEnded)
    if (wasSent && !this.gaveUp) target?.health.gaveNoHead(fault)
  }

  #leave(): Target | null {
    const target = this.#target
    if (target !== null) target.outstanding--
    this.#target = null
    return target
  }
}

/** A body that somebody has begun to read, or that broke, cannot be sent from its beginning. */
function wasTouched(body: UpstreamRequest['body']): boolean {
  return isStream(body) && (body.readableDidRead || body.destroyed)
}

function isStream(body: UpstreamRequest['body']): body is Readable {
  return body !== null && !Buffer.isBuffer(body)
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
  const bodyError = isStream(body) ? body.errored : null
  if (error === bodyError || error instanceof errors.RequestAbortedError) return { kind: 'aborted' }
  return { kind: 'unreachable', detail: faultOf(error) }
}

/** Header bytes are Latin-1 (RFC 9110 section 5.5); any other reading would change them. */
export function toStrings(raw: Controller['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return []
  return raw.map(text => (typeof text === 'string' ? text : text.toString('latin1')))
}
