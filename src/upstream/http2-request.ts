import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { withoutHeaders } from '../core/header-list.ts'

const { NGHTTP2_NO_ERROR: NO_ERROR, NGHTTP2_REFUSED_STREAM: REFUSED_STREAM } = constants

/** Of one request over HTTP/2, in the shape of undici's. */
export class Http2Controller implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: string[] = []
  rawTrailers: string[] = []
  /** The head was the last frame: neither bytes nor trailers come. */
  endsWithHead = false
  stream: ClientHttp2Stream | null = null
  onAbort: ((reason: Error) => void) | null = null
  /** How long the body may be silent. 0: for ever, or there is none yet. */
  #silenceMsMax = 0

  /** @param onSilence Called when nothing has come for that long although somebody reads. */
  limitSilence(milliseconds: number, onSilence: () => void): void {
    this.#silenceMsMax = milliseconds
    this.stream?.on('timeout', onSilence)
    if (this.paused) this.stream?.pause()
    else this.stream?.setTimeout(milliseconds)
  }

  pause(): void {
    this.paused = true
    this.stream?.pause()
    // It is we who are silent: while a settlement runs, or for a slow reader.
    this.stream?.setTimeout(0)
  }

  resume(): void {
    this.paused = false
    this.stream?.setTimeout(this.#silenceMsMax)
    this.stream?.resume()
  }

  abort(reason: Error): void {
    this.aborted = true
    this.reason = reason
    this.onAbort?.(reason)
  }
}

/** The server has not processed the request (RFC 9113 section 8.7): nothing came of it. */
export class NotProcessedError extends Error {
  readonly code = 'REFUSED_STREAM'
  /** Another connection to the same server may do: it ends this one as servers do in time. */
  readonly endsServedConnection: boolean

  constructor(endsServedConnection: boolean) {
    super('The server has not processed the request.')
    this.endsServedConnection = endsServedConnection
  }
}

interface Goaway {
  readonly code: number
  /** The last stream that the server may have acted upon. */
  readonly lastStream: number
}

const NO_GOAWAY: Goaway = { code: NO_ERROR, lastStream: Number.POSITIVE_INFINITY }
const goaways = new WeakMap<ClientHttp2Session, Goaway>()

/** Remembers what a GOAWAY says. Call once for each connection. */
export function heedGoaway(session: ClientHttp2Session): void {
  session.on('goaway', (code, lastStream) => void goaways.set(session, { code, lastStream }))
}

/** Null: it may have been processed. */
function whyNotProcessed(
  session: ClientHttp2Session,
  { id = 0, rstCode }: ClientHttp2Stream,
): NotProcessedError | null {
  const { code, lastStream } = goaways.get(session) ?? NO_GOAWAY
  // First, for nghttp2 resets what a GOAWAY leaves out as if it had been refused.
  if (id > lastStream) return new NotProcessedError(code === NO_ERROR && lastStream > 0)
  return rstCode === REFUSED_STREAM ? new NotProcessedError(false) : null
}

interface Asked {
  readonly options: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
}

/** Sends one request over a connection. Null: nobody wants it any more. */
export function exchangeHttp2(
  session: ClientHttp2Session,
  origin: URL,
  { options, handler }: Asked,
): Promise<void> | null {
  const controller = new Http2Controller()
  try {
    handler.onRequestStart?.(controller, null)
  } catch (reason) {
    // As undici does: whoever was handed a request hears of its end.
    handler.onResponseError?.(controller, reason as Error) // what the handler threw
    return null
  }
  const body = options.body as Buffer | Readable | null // as forward.ts gives it
  // Reset by a signal and not by `close`, which would end what it should break off (node 26.10).
  const reset = new AbortController()
  const head = toFields(options, origin)
  const stream = session.request(head, { endStream: body === null, signal: reset.signal })
  controller.stream = stream
  let hasHead = false
  let isOver = false
  const fail = (error: Error): void => {
    if (isOver) return
    isOver = true
    reset.abort()
    const refused = hasHead ? null : whyNotProcessed(session, stream)
    handler.onResponseError?.(controller, refused ?? error)
  }
  controller.onAbort = fail
  stream.on('response', (...[headers, flags, raw]: HeadEvent) => {
    hasHead = true
    const status = headers[':status'] ?? 0
    controller.rawHeaders = withoutPseudo(raw)
    controller.endsWithHead = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    handler.onResponseStart?.(controller, status, headers)
    stream.on('data', (chunk: Buffer) => {
      if (!isOver) handler.onResponseData?.(controller, chunk)
    })
    controller.limitSilence(options.bodyTimeout ?? 0, () => fail(new errors.BodyTimeoutError()))
  })
  stream.on('trailers', (...[, , raw]: HeadEvent) => {
    controller.rawTrailers = withoutPseudo(raw)
  })
  stream.once('end', () => {
    // A stream that was reset ends as well.
    if (isOver || stream.rstCode !== NO_ERROR || !hasHead) return
    isOver = true
    handler.onResponseEnd?.(controller, {})
    // Whatever is left of the request is not wanted.
    if (!stream.writableFinished) stream.close(NO_ERROR)
  })
  stream.on('error', fail)
  sendBody(body, stream, fail)
  return new Promise(resolve => {
    stream.once('close', () => {
      fail(new errors.SocketError('The stream ended before its response.'))
      resolve()
    })
  })
}

type HeadEvent = [
  headers: IncomingHttpHeaders & { ':status'?: number },
  flags: number,
  raw: string[],
]

function sendBody(
  body: Buffer | Readable | null,
  stream: ClientHttp2Stream,
  fail: (error: Error) => void,
): void {
  if (body === null) return
  if (Buffer.isBuffer(body)) {
    stream.end(body)
    return
  }
  body.once('error', fail)
  body.once('close', () => {
    if (!body.readableEnded) fail(body.errored ?? new errors.RequestAbortedError())
  })
  // Not destroyed: with a request over HTTP/1.1, so would be the connection that the answer takes.
  stream.once('close', () => body.unpipe(stream))
  body.pipe(stream)
}

/** They speak of an HTTP/1.1 connection (RFC 9113 section 8.2.2), or stand in pseudo-headers. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...['connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'te'],
  ...['transfer-encoding', 'upgrade', 'host'],
])

function toFields(
  { method, path, headers }: Dispatcher.DispatchOptions,
  origin: URL,
): OutgoingHttpHeaders {
  const flat = headers as readonly string[] // as HeaderRules.forRequest gives them
  const fields: Record<string, string | string[]> = Object.create(null)
  let authority = origin.host
  for (let index = 0; index < flat.length; index += 2) {
    const name = (flat[index] ?? '').toLowerCase()
    const value = flat[index + 1] ?? ''
    if (name === 'host') authority = value
    if (NOT_SENT.has(name)) continue
    const known = fields[name]
    fields[name] = known === undefined ? value : [known, value].flat()
  }
  const scheme = origin.protocol.slice(0, -1)
  // We pass on all trailers, whoever asks.
  const own = { ':method': method, ':path': path, ':scheme': scheme, ':authority': authority }
  return { ...fields, ...own, te: 'trailers' }
}

function withoutPseudo(raw: readonly string[]): string[] {
  return withoutHeaders(raw, name => name.startsWith(':'))
}
