import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Delivery, Exchange, Reply, ReplyStream } from '../flow/exchange.ts'
import { certificateNames } from './certificate-names.ts'
import { type ClientPace, holdToPace } from './client-pace.ts'
import { readHead } from './framing.ts'
import { type ExchangeSettings, HeardRequest } from './heard-request.ts'
import { ResponseSink, replyHeaders } from './reply.ts'
import { limitBody } from './request-body.ts'
import { closeInStages, ONCE_QUIET } from './staged-close.ts'

/** How the server stands when a request arrives. */
export interface Arrival {
  readonly settings: ExchangeSettings
  /** The client waits for 100 before it sends its body (RFC 9110 section 10.1.1). */
  readonly awaitsContinue: boolean
  /** True while the server drains: connections end with their response. */
  readonly isDraining: () => boolean
  /** What the connection carries; a trusted proxy may know better. */
  readonly scheme: 'http' | 'https'
  /** Bytes of a streamed reply must move at least this often, or the client counts as gone. */
  readonly stallMsMax: number
}

/** A short unread body is read away, so that the connection can carry the paid retry. */
const READ_AWAY_BYTES_MAX = 64 * 1024

/** So short a body goes as text, which node joins to the head: one piece costs less than two. */
const TEXT_BYTES_MAX = 8 * 1024

/** One request over HTTP/1.1. */
export class NodeExchange extends HeardRequest implements Exchange {
  /** What follows on the connection must not be read as a request. */
  isLast: boolean
  /** The head is a WebSocket handshake, wherever it came. */
  protected readonly asksForWebSocket: boolean

  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  /** Kept, because undici takes it from a request whose body it read (core/util.js, destroy). */
  readonly #socket: Socket
  readonly #arrival: Arrival
  #awaitsContinue: boolean
  #body: Readable | null | undefined

  constructor(request: IncomingMessage, response: ServerResponse, arrival: Arrival) {
    const { settings, scheme } = arrival
    const { method = '', url: target = '', rawHeaders, socket } = request
    const { host, bodyLength, isLast, isHandshake, flaw } = readHead(request)
    const heard = { method, target, rawHeaders, host, bodyLength, flaw }
    super(heard, { settings, scheme, peer: socket.remoteAddress ?? '' })
    this.#request = request
    this.#response = response
    this.#socket = socket
    this.#arrival = arrival
    this.#awaitsContinue = arrival.awaitsContinue
    this.isLast = isLast || this.flaw !== null
    this.asksForWebSocket = isHandshake && this.flaw === null
  }

  get certificateNames(): readonly string[] {
    return certificateNames(this.#socket)
  }

  /** Only on a connection that node:http has let go of can a 101 be written. */
  get isHandshake(): boolean {
    return false
  }

  bodyStream(): Readable | null {
    if (this.#body !== undefined) return this.#body
    if (this.#awaitsContinue && this.bodyLength !== 0) this.#response.writeContinue()
    this.#awaitsContinue = false
    if (this.bodyLength === 0) this.#body = null
    else if (this.bodyLength !== null) this.#body = this.#request
    else this.#body = limitBody(this.#request, this.#arrival.settings.bodyBytesMax)
    return this.#body
  }

  get clientGone(): boolean {
    // Not writable once the client has closed its side, or once we have refused its bytes.
    return this.#response.closed || !this.#socket.writable
  }

  onClientGone(callback: () => void): () => void {
    if (this.clientGone) {
      callback()
      return () => {}
    }
    const response = this.#response
    const listener = (): void => {
      if (!response.writableFinished) callback()
    }
    response.on('close', listener)
    return () => response.off('close', listener)
  }

  respond(reply: Reply): Promise<Delivery> {
    const response = this.#response
    const { body } = reply
    if (this.clientGone) {
      if (!Buffer.isBuffer(body)) body.cancel()
      return Promise.resolve('aborted')
    }
    const closed = new Promise<Delivery>(resolve => {
      response.on('close', () => {
        const delivered = response.writableFinished
        if (!delivered && !Buffer.isBuffer(body)) body.cancel()
        resolve(delivered ? 'delivered' : 'aborted')
      })
    })
    this.#write(reply)
    return closed
  }

  #write(reply: Reply): void {
    const response = this.#response
    const { body } = reply
    this.isLast ||= this.#arrival.isDraining() || this.#leavesBodyBehind()
    if (this.isLast && !this.#request.complete) this.#lingerAtEnd()
    try {
      response.writeHead(reply.status, replyHeaders(reply, this.#request, this.isLast))
    } catch {
      // Nothing that may be written to the wire; better no answer than half of one.
      response.destroy()
      return
    }
    if (Buffer.isBuffer(body)) {
      this.#end(body)
      return
    }
    const { whole } = body
    if (whole == null) this.#stream(body)
    else this.#end(whole)
  }

  /** Lets a client that sends the rest of its body hear the answer that ends its connection. */
  #lingerAtEnd(): void {
    const socket = this.#socket
    const { destroySoon } = socket
    // What node:http calls once that answer is written.
    socket.destroySoon = () => {
      if (this.#request.complete) destroySoon.call(socket)
      else closeInStages(socket, ONCE_QUIET)
    }
  }

  #end(whole: Buffer): void {
    const response = this.#response
    // What is shorter is the system's to hold, whether or not its client reads.
    const pace = whole.length > READ_AWAY_BYTES_MAX ? this.#holdToPace() : null
    // A character for each byte changes none of them.
    if (whole.length <= TEXT_BYTES_MAX) response.end(whole.toString('latin1'), 'latin1')
    else response.end(whole)
    pace?.waitFor(whole.length)
  }

  #stream(body: ReplyStream): void {
    const sink = new ResponseSink(this.#response, this.#socket, this.#holdToPace())
    void body.pipeTo(sink)
    sink.sendHead()
  }

  /** Gives the client up once it stands still, or takes too little. */
  #holdToPace(): ClientPace | null {
    this.#response.setTimeout(this.#arrival.stallMsMax)
    return holdToPace(this.#response, this.#arrival, () => this.#socket.resetAndDestroy())
  }

  /** What is left of a request would be taken for the next one. */
  #leavesBodyBehind(): boolean {
    if (this.bodyLength === 0 || this.#request.complete) return false
    if (this.#body !== undefined || this.#awaitsContinue) return true
    return this.bodyLength === null || this.bodyLength > READ_AWAY_BYTES_MAX
  }
}
