import { type Dispatcher, errors, Pool } from 'undici'
import type { UpstreamConfig } from '../config/gateway-config.ts'
import { RequestBodyTooLargeError } from '../errors.ts'
import { createHeaderRules, type HeaderRules } from './headers.ts'
import { PausedBody } from './paused-body.ts'
import type { Upstream, UpstreamOutcome, UpstreamRequest } from './upstream.ts'

/** A stream may be silent for this long before it counts as dead. */
const BODY_IDLE_MS_MAX = 300_000

/** An upstream over HTTP/1.1 with kept-alive connections. */
export function createUpstream(config: UpstreamConfig): Upstream {
  const { origin, pathname } = new URL(config.url)
  const basePath = pathname === '/' ? '' : pathname.replace(/\/$/, '')
  const rules = createHeaderRules(config.headers)
  const pool = new Pool(origin, {
    connections: config.maxConnections,
    pipelining: 1,
    connect: { timeout: config.connectTimeoutMs },
    allowH2: false,
  })

  return {
    name: config.name,
    send: (request, signalAbort) =>
      new Promise(resolve => {
        const handler = new ForwardHandler(rules, resolve)
        signalAbort(() => handler.abort())
        pool.dispatch(toDispatch(request, basePath, rules), handler)
      }),
    close: () => pool.close(),
  }
}

function toDispatch(
  request: UpstreamRequest,
  basePath: string,
  rules: HeaderRules,
): Dispatcher.DispatchOptions {
  return {
    method: request.method,
    path: basePath + request.target,
    headers: rules.forRequest(request.rawHeaders, request.addedHeaders),
    body: request.body,
    headersTimeout: request.timeoutMs,
    bodyTimeout: BODY_IDLE_MS_MAX,
  }
}

const GONE = new Error('The client went away.')

/** Turns undici's callbacks into one outcome and one body. */
class ForwardHandler implements Dispatcher.DispatchHandler {
  readonly #rules: HeaderRules
  readonly #resolve: (outcome: UpstreamOutcome) => void
  #controller: Dispatcher.DispatchController | null = null
  #body: PausedBody | null = null
  #abortAsked = false

  constructor(rules: HeaderRules, resolve: (outcome: UpstreamOutcome) => void) {
    this.#rules = rules
    this.#resolve = resolve
  }

  abort(): void {
    this.#abortAsked = true
    this.#controller?.abort(GONE)
    // Nothing was sent yet: undici asks in onRequestStart whether to go on.
    if (this.#controller === null) this.#resolve({ kind: 'aborted' })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#abortAsked) controller.abort(GONE)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // 1xx are for this hop; 103 hints come again in the final head.
    if (status < 200) return
    this.#body = new PausedBody(controller)
    this.#resolve({
      kind: 'response',
      status,
      headers: this.#rules.forReply(toStrings(controller.rawHeaders)),
      body: this.#body,
    })
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.write(chunk)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#body?.end(this.#rules.forReply(toStrings(controller.rawTrailers)))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#body === null) this.#resolve(toOutcome(error))
    else this.#body.fail()
  }
}

function toOutcome(error: Error): UpstreamOutcome {
  if (error === GONE) return { kind: 'aborted' }
  if (error instanceof RequestBodyTooLargeError) return { kind: 'body-too-large' }
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError) {
    return { kind: 'timeout' }
  }
  const code = 'code' in error ? String(error.code) : error.name
  return { kind: 'unreachable', detail: code }
}

type RawHeaders = Dispatcher.DispatchController['rawHeaders']

/** Header bytes are Latin-1 (RFC 9110 section 5.5); any other reading would change them. */
function toStrings(raw: RawHeaders): string[] {
  if (!Array.isArray(raw)) return []
  return raw.map(text => (typeof text === 'string' ? text : text.toString('latin1')))
}
