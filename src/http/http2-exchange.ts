import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { ClientGoneError } from '../errors.ts'
import { problemReply } from '../flow/answers.ts'
import type { Delivery, Exchange, Reply } from '../flow/exchange.ts'
import { certificateNames } from './certificate-names.ts'
import { holdToPace } from './client-pace.ts'
import { type ExchangeSettings, HeardRequest } from './heard-request.ts'
import { Http2Body } from './http2-body.ts'
import { readHttp2Head } from './http2-head.ts'
import { Http2Sink, http2Head, NOWHERE } from './http2-reply.ts'

export interface Http2Arrival {
  readonly settings: ExchangeSettings
  readonly socket: TLSSocket
  readonly endsStream: boolean
  readonly headerBytesMax: number
  /** Until the whole request must have come, unless its answer has begun by then. */
  readonly requestMsMax: number
  /** Bytes must move at least this often once an answer has begun, or the client counts as gone. */
  readonly stallMsMax: number
}

/** Only where the connection is congested is it looked for again. */
const HEAD_SENT_LOOK_MS = 10

/** One request over HTTP/2: one stream of a connection that carries others beside it. */
export class Http2Exchange extends HeardRequest implements Exchange {
  /** Extended CONNECT (RFC 8441) is never taken. */
  readonly isHandshake = false
  readonly #stream: ServerHttp2Stream
  readonly #arrival: Http2Arrival
  #awaitsContinue: boolean
  #body: Http2Body | null | undefined
  #gaveUp = false
  #isDelivered = false
  /** The head was the last frame of the reply, and may have to wait for its turn. */
  #endsWithHead = false
  readonly #onGone = new Set<() => void>()

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[], arrival: Http2Arrival) {
    const { settings, socket } = arrival
    const { awaitsContinue, ...heard } = readHttp2Head(rawHeaders, arrival)
    super(heard, { settings, scheme: 'https', peer: socket.remoteAddress ?? '' })
    this.#stream = stream
    this.#arrival = arrival
    this.#awaitsContinue = awaitsContinue
    stream.once('aborted', () => this.#tellGone()).once('close', () => this.#tellGone())
    if (!arrival.endsStream) this.#limitTime()
  }

  get certificateNames(): readonly string[] {
    return certificateNames(this.#arrival.socket)
  }

  /** True when it was we who broke the stream off: no fault of the client's. */
  get gaveUp(): boolean {
    return this.#gaveUp
  }

  bodyStream(): Readable | null {
    if (this.#body !== undefined) return this.#body
    if (this.bodyLength === 0) {
      this.#body = null
      return null
    }
    this.#body = new Http2Body(this.#stream, this.#arrival.settings.bodyBytesMax)
    if (this.#awaitsContinue && !this.clientGone) this.#stream.additionalHeaders({ ':status': 100 })
    this.#awaitsContinue = false
    return this.#body
  }

  get clientGone(): boolean {
    const { closed, destroyed, aborted } = this.#stream
    return closed || destroyed || aborted || this.#gaveUp
  }

  onClientGone(callback: () => void): () => void {
    if (this.clientGone) {
      callback()
      return () => {}
    }
    this.#onGone.add(callback)
    return () => void this.#onGone.delete(callback)
  }

  respond(reply: Reply): Promise<Delivery> {
    const stream = this.#stream
    const { body } = reply
    if (this.clientGone) {
      if (!Buffer.isBuffer(body)) body.cancel()
      return Promise.resolve('aborted')
    }
    const closed = new Promise<Delivery>(resolve => {
      stream.once('close', () => {
        const isDelivered = this.#wasDelivered
        if (!isDelivered && !Buffer.isBuffer(body)) body.cancel()
        resolve(isDelivered ? 'delivered' : 'aborted')
      })
    })
    this.#write(reply)
    return closed
  }

  #write(reply: Reply): void {
    const stream = this.#stream
    const { body } = reply
    const frames = framesOf(reply, this.method)
    try {
      const endStream = frames === 'head'
      stream.respond(http2Head(reply), { endStream, waitForTrailers: frames === 'trailers' })
    } catch {
      // Nothing that may be written to the wire; better no answer than half of one.
      this.#giveUp()
      return
    }
    const finish = (): void => this.#finish()
    const giveUp = (): void => this.#giveUp()
    stream.setTimeout(this.#arrival.stallMsMax, giveUp)
    const pace = holdToPace(stream, this.#arrival, giveUp)
    if (frames === 'body') stream.once('finish', finish)
    if (frames === 'head' && this.#isHeard) finish()
    else if (frames === 'head') this.#finishOnceSent()
    if (Buffer.isBuffer(body)) {
      if (frames !== 'head') stream.end(body)
      pace?.waitFor(body.length)
    } else if (frames === 'head') void body.pipeTo(NOWHERE)
    else void body.pipeTo(new Http2Sink(stream, pace, { onTrailers: finish, giveUp }))
  }

  /** A stream that has come to its end on both sides without a fault has taken its reply along. */
  get #wasDelivered(): boolean {
    const { closed, aborted, rstCode } = this.#stream
    const endedWell = closed && !aborted && rstCode === constants.NGHTTP2_NO_ERROR
    return this.#isDelivered || (this.#endsWithHead && endedWell && !this.#gaveUp)
  }

  /** Whether the whole request has been read. */
  get #isHeard(): boolean {
    return this.#arrival.endsStream || this.#stream.readableEnded
  }

  /**
   * Ends a reply that is a head alone to a request that is still being sent. Not at once, for the
   * reset would overtake the head; and node:http2 (26.10) tells of no time when that is out.
   */
  #finishOnceSent(): void {
    const stream = this.#stream
    this.#endsWithHead = true
    const look = (): void => {
      if (stream.destroyed) return
      if (stream.state.localClose === 1) this.#finish()
      else setTimeout(look, HEAD_SENT_LOOK_MS)
    }
    setImmediate(look)
  }

  /** The reply is whole. What is left of the request is not wanted (RFC 9113 section 8.1). */
  #finish(): void {
    const stream = this.#stream
    if (stream.aborted || this.#gaveUp) return
    this.#isDelivered = true
    const isHeard = this.#isHeard
    this.#body?.destroy()
    stream.resume()
    if (!isHeard) stream.close(constants.NGHTTP2_NO_ERROR)
  }

  /**
   * Resets the stream. Not by `close`: with a response that has begun, node:http2 (26.10) then ends
   * the stream instead of resetting it, and the client would take what it has for the whole.
   */
  #giveUp(): void {
    this.#gaveUp = true
    this.#body?.destroy()
    this.#stream.destroy(new Error('The response broke off.'))
  }

  #tellGone(): void {
    const callbacks = [...this.#onGone]
    this.#onGone.clear()
    if (this.#wasDelivered) return
    for (const callback of callbacks) callback()
  }

  #limitTime(): void {
    const stream = this.#stream
    const timer = setTimeout(() => this.#refuseLate(), this.#arrival.requestMsMax)
    const stop = (): void => clearTimeout(timer)
    stream.once('end', stop).once('close', stop)
  }

  #refuseLate(): void {
    const stream = this.#stream
    if (stream.headersSent || this.clientGone) return
    const late = problemReply('request_timeout')
    stream.respond(http2Head(late))
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR))
    stream.end(late.body)
    // Whoever works on the request hears that there is nothing more to come, and nobody to answer.
    this.#gaveUp = true
    this.#body?.destroy(new ClientGoneError())
    this.#tellGone()
  }
}

/** Which frame is the last one of a reply. */
function framesOf({ status, headers, body }: Reply, method: string): 'head' | 'body' | 'trailers' {
  if (method === 'HEAD' || status === 204 || status === 304) return 'head'
  if (Buffer.isBuffer(body)) return body.length === 0 ? 'head' : 'body'
  if (body.isEmpty === true) return 'head'
  let hasLength = false
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]?.toLowerCase()
    if (name === 'trailer') return 'trailers'
    if (name === 'content-length') hasLength = true
  }
  return hasLength ? 'body' : 'trailers'
}
