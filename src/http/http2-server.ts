import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { HTTP2_COUNTED_MEGABYTES_MAX } from '../core/http2-memory.ts'
import { unixMs } from '../core/time.ts'
import { createBudget } from '../flow/budget.ts'
import { HEADERS_MAX } from './framing.ts'
import type { ExchangeSettings } from './heard-request.ts'
import { Http2Exchange } from './http2-exchange.ts'

export interface Http2ServerOptions {
  /** Asked for each request. */
  readonly settings: () => ExchangeSettings
  readonly headerBytesMax: number
  readonly requestMsMax: number
  readonly stallMsMax: number
  /** Until the first request of a connection. */
  readonly firstRequestMsMax: number
  /** How long a connection may have nothing to do. */
  readonly idleMsMax: number
  /** Never rejects. */
  readonly handle: (exchange: Http2Exchange) => Promise<void>
}

export interface Http2Connections {
  /** Takes over a connection whose client has chosen HTTP/2. */
  accept(socket: TLSSocket): void
  /** Tells every client to ask elsewhere; what runs goes on. */
  drain(): void
  destroyConnections(): void
}

/** Requests at once on one connection. Clients know it from our settings, and queue the others. */
const STREAMS_MAX = 100

/** Bytes of one body that may wait here before anybody reads them (RFC 9113 section 6.9.2). */
const STREAM_WINDOW_BYTES = 65_535
/** What its streams have in all: with the protocol's 64 KiB, uploads would wait for one another. */
const CONNECTION_WINDOW_BYTES = STREAMS_MAX * STREAM_WINDOW_BYTES

/**
 * Requests that a client takes back, beyond which its connection ends (CVE-2023-44487): each has
 * cost us more than it cost the client. Callers that hedge or cancel stay far below.
 */
const RESETS = { burst: 200, perSecond: 20 }

/** PING and SETTINGS frames, which we have to answer. Some clients measure the line with PINGs. */
const QUESTIONS = { burst: 2_000, perSecond: 500 }

/** How long what still comes is read and thrown away. */
const LINGER_MS = 100

/** RFC 9113 section 6.5.2 counts so many bytes for a field beside its name and its value. */
const FIELD_OVERHEAD_BYTES = 32

export function createHttp2Connections(options: Http2ServerOptions): Http2Connections {
  const sessions = new Set<ServerHttp2Session>()
  const server = createNodeServer(options.headerBytesMax)
  let draining = false
  // What is wrong with one connection is its client's affair.
  server.on('sessionError', () => {})
  server.on('session', session => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    watchOver(session, options)
    if (draining) session.close()
  })
  return {
    accept: socket => void server.emit('connection', socket),
    drain() {
      draining = true
      for (const session of sessions) session.close()
    },
    destroyConnections() {
      for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL)
    },
  }
}

function createNodeServer(headerBytesMax: number): Http2Server {
  return createServer({
    // What is a little too much is answered with a problem; what is far too much ends the stream.
    maxHeaderListPairs: 2 * HEADERS_MAX,
    maxSessionMemory: HTTP2_COUNTED_MEGABYTES_MAX,
    settings: {
      maxConcurrentStreams: STREAMS_MAX,
      initialWindowSize: STREAM_WINDOW_BYTES,
      maxHeaderListSize: 2 * headerBytesMax + HEADERS_MAX * FIELD_OVERHEAD_BYTES,
      enableConnectProtocol: false,
    },
    // An API that says its type twice is passed on as it is, as over HTTP/1.1; node would throw.
    strictSingleValueFields: false,
    // Its own count of resets, for those that are none to us.
    streamResetBurst: 5 * RESETS.burst,
    streamResetRate: 5 * RESETS.perSecond,
  })
}

/** Bounds what one connection may ask for, and for how long it may stand still. */
function watchOver(session: ServerHttp2Session, options: Http2ServerOptions): void {
  const clock = () => unixMs(Date.now())
  const resets = createBudget(clock, RESETS)
  const questions = createBudget(clock, QUESTIONS)
  let isOver = false
  const calm = (): void => {
    if (isOver) return
    isOver = true
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    // Closing with bytes unread would take the reason from the client.
    setTimeout(() => session.destroy(), LINGER_MS)
  }
  const asked = (): void => {
    if (!questions.take()) calm()
  }
  let working = 0
  const first = setTimeout(() => session.destroy(), options.firstRequestMsMax)
  session.once('close', () => clearTimeout(first))
  session.setTimeout(options.idleMsMax, () => {
    if (working === 0) session.close()
  })
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
  session.on('ping', asked)
  session.on('remoteSettings', asked)

  const serve = async (
    stream: ServerHttp2Stream,
    flags: number,
    rawHeaders: readonly string[],
  ): Promise<void> => {
    clearTimeout(first)
    // It is told by `close` and `aborted`; unheard, an error would end the process.
    stream.on('error', () => {})
    // A stream that was reset is gone for the protocol, and its work may still be running.
    if (isOver || working >= STREAMS_MAX) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM)
      if (!resets.take()) calm()
      return
    }
    const { settings, headerBytesMax, requestMsMax, stallMsMax } = options
    const exchange = new Http2Exchange(stream, rawHeaders, {
      settings: settings(),
      socket: session.socket as TLSSocket, // of the connection that `accept` was given
      endsStream: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
      headerBytesMax,
      requestMsMax,
      stallMsMax,
    })
    stream.once('aborted', () => {
      if (!exchange.gaveUp && !isOver && !session.destroyed && !resets.take()) calm()
    })
    working++
    await options.handle(exchange)
    working--
  }
  session.on('stream', (...[stream, , flags, rawHeaders]: StreamEvent) => {
    void serve(stream, flags, rawHeaders)
  })
}

type StreamEvent = [
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
]
