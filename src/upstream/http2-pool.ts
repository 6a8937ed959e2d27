import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import type { buildConnector, Dispatcher } from 'undici'
import { HTTP2_COUNTED_MEGABYTES_MAX } from '../core/http2-memory.ts'
import { Http2Liveness } from './http2-liveness.ts'
import { exchangeHttp2, heedGoaway } from './http2-request.ts'

/** What a request needs of the connections to a target; undici's Pool is one. */
export interface Requests {
  /**
   * @param renewals Connections that ended before they came to it: it goes before those that have
   *                 met with fewer. Heeded over HTTP/2, where alone it can be.
   */
  dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    renewals?: number,
  ): unknown
  /** Finishes what runs. */
  close(): Promise<void>
}

interface Job {
  readonly options: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
  readonly renewals: number
}

/** One connection. */
interface Link {
  readonly session: ClientHttp2Session
  readonly liveness: Http2Liveness
  /** That are open. */
  streams: number
}

export interface Http2PoolLimits {
  readonly connectionsMax: number
  /** Until a server has said how many streams it takes; or whether it is there, being silent. */
  readonly silenceMsMax: number
}

/** A server may say that it takes more; so many streams share the fate of one connection. */
const STREAMS_MAX = 100
const IDLE_MS_MAX = 60_000

/**
 * Bytes of one body that may be under way, or wait here for a slow caller. RFC 9113's own 64 KiB,
 * which are all that a connection has for its streams, bring 3 MB a second over 20 ms.
 */
const STREAM_WINDOW_BYTES = 256 * 1024
/** What its streams have in all, so that they hold up nobody but themselves. */
const CONNECTION_WINDOW_BYTES = STREAMS_MAX * STREAM_WINDOW_BYTES

/** Of a head. Over HTTP/1.1 nothing but their bytes is bounded, as nghttp2 does here: to 64 KiB. */
const FIELDS_MAX = 2_000

/**
 * Connections over HTTP/2, by ALPN or, to an http: origin, by prior knowledge.
 *
 * Not undici's, which takes a stream that its server took back (RST_STREAM with CANCEL) for one
 * that came to its end (8.12.4): half a body would be passed on, and charged, as a whole one.
 */
export class Http2Pool implements Requests {
  readonly #origin: URL
  readonly #connect: buildConnector.connector
  readonly #connectionsMax: number
  readonly #silenceMsMax: number
  readonly #links = new Set<Link>()
  readonly #waiting: Job[] = []
  #connecting = 0
  #whenIdle: (() => void) | null = null

  constructor(
    origin: string,
    connect: buildConnector.connector,
    { connectionsMax, silenceMsMax }: Http2PoolLimits,
  ) {
    this.#origin = new URL(origin)
    this.#connect = connect
    this.#connectionsMax = connectionsMax
    this.#silenceMsMax = silenceMsMax
  }

  dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    renewals = 0,
  ): void {
    const behind = renewals === 0 ? -1 : this.#waiting.findIndex(job => job.renewals < renewals)
    const place = behind === -1 ? this.#waiting.length : behind
    this.#waiting.splice(place, 0, { options, handler, renewals })
    this.#assign()
  }

  async close(): Promise<void> {
    if (this.#waiting.length > 0 || this.#connecting > 0) {
      await new Promise<void>(resolve => {
        this.#whenIdle = resolve
      })
    }
    const closing = [...this.#links].map(
      ({ session }) =>
        new Promise<void>(resolve => {
          // Not as its callback, of which nothing is heard where a GOAWAY has been before us.
          session.once('close', resolve)
          session.close()
        }),
    )
    await Promise.all(closing)
  }

  #assign(): void {
    while (this.#waiting.length > 0) {
      const link = this.#withRoom()
      if (link === null) break
      const job = this.#waiting.shift()
      if (job !== undefined) this.#start(link, job)
    }
    const wanted = Math.ceil(this.#waiting.length / STREAMS_MAX)
    while (this.#connecting < wanted && this.#inUse + this.#connecting < this.#connectionsMax) {
      this.#open()
    }
    if (this.#waiting.length === 0 && this.#connecting === 0) this.#whenIdle?.()
  }

  /** One that its server is ending carries what it has, maybe for hours, and takes no place. */
  get #inUse(): number {
    let count = 0
    for (const { session } of this.#links) if (!session.closed) count++
    return count
  }

  #withRoom(): Link | null {
    for (const link of this.#links) {
      const { session, streams } = link
      const most = Math.min(STREAMS_MAX, session.remoteSettings?.maxConcurrentStreams ?? 1)
      if (streams < most && !session.closed && !session.destroyed) return link
    }
    return null
  }

  #start(link: Link, job: Job): void {
    const { session, liveness } = link
    const heard = liveness.heard()
    const ended = exchangeHttp2(session, this.#origin, job)
    if (ended === null) return
    link.streams++
    void ended.then(() => {
      link.streams--
      liveness.doubt(heard)
      this.#assign()
    })
  }

  #open(): void {
    const { protocol, hostname, host } = this.#origin
    const port = this.#origin.port || (protocol === 'https:' ? '443' : '80')
    this.#connecting++
    this.#connect({ hostname, host, protocol, port }, (...[error, socket]) => {
      if (error !== null) {
        this.#fail(error)
        return
      }
      const isHttp2 =
        protocol === 'http:' || ('alpnProtocol' in socket && socket.alpnProtocol === 'h2')
      if (!isHttp2) {
        socket.destroy()
        this.#fail(Object.assign(new Error('no HTTP/2 here'), { code: 'NO_HTTP2' }))
        return
      }
      const settings = { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES }
      const session = connectHttp2(this.#origin, {
        createConnection: () => socket,
        settings,
        maxSessionMemory: HTTP2_COUNTED_MEGABYTES_MAX,
        maxHeaderListPairs: FIELDS_MAX,
      })
      const liveness = new Http2Liveness(session, socket, this.#silenceMsMax)
      this.#keep({ session, liveness, streams: 0 })
    })
  }

  #keep(link: Link): void {
    const { session } = link
    session.on('error', () => {})
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    heedGoaway(session)
    session.setTimeout(IDLE_MS_MAX, () => {
      if (link.streams === 0) session.close()
    })
    // Before that, nobody knows how many streams it takes.
    let isKnown = false
    const greeting = setTimeout(() => session.destroy(), this.#silenceMsMax)
    session.once('remoteSettings', () => {
      isKnown = true
      clearTimeout(greeting)
      this.#connecting--
      if (!session.destroyed) this.#links.add(link)
      this.#assign()
    })
    session.once('close', () => {
      clearTimeout(greeting)
      this.#links.delete(link)
      if (isKnown) this.#assign()
      else this.#fail(Object.assign(new Error('closed'), { code: 'NO_HTTP2' }))
    })
  }

  /** Whoever waited for this connection is told, and may try elsewhere, unless others go on. */
  #fail(error: Error): void {
    this.#connecting--
    // Their turn comes when a stream ends: to connect again at once would be to do so for ever.
    if (this.#waiting.length > 0 && this.#inUse > 0) return
    const told = this.#waiting.splice(0, STREAMS_MAX)
    for (const { handler } of told) handler.onResponseError?.(nobody, error)
    this.#assign()
  }
}

const nobody = null as unknown as Dispatcher.DispatchController // there is no request to control
