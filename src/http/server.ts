import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ListenAddress, ServerLimits } from '../config/gateway-config.ts'
import type { TlsConfig } from '../config/tls-config.ts'
import { problemReply } from '../flow/answers.ts'
import type { Exchange } from '../flow/exchange.ts'
import { createConnections } from './connections.ts'
import { type Arrival, NodeExchange } from './exchange.ts'
import type { ExchangeSettings } from './heard-request.ts'
import {
  createHttp2Connections,
  type Http2Connections,
  type Http2ServerOptions,
} from './http2-server.ts'
import { createInFlight } from './in-flight.ts'
import { createTlsListener, type TlsListener } from './tls.ts'
import { takeUpgrades } from './upgrades.ts'

export interface HttpServer {
  readonly url: string
  /** Requests that have begun and not ended, and connections that have changed protocols. */
  readonly inFlight: number
  /** For new connections. Only where there has been a certificate from the start. */
  useCertificate(tls: TlsConfig): void
  /** Takes nothing new and resolves when what runs has ended, or after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
}

export interface HttpServerOptions {
  readonly listen: ListenAddress
  readonly limits: ServerLimits
  /** Default: plain HTTP. */
  readonly tls?: TlsConfig | null
  /** Whether callers may choose HTTP/2, which takes TLS. */
  readonly http2?: boolean
  /** Asked for each request, because a reload may change them. */
  readonly settings: () => ExchangeSettings
  /** Never rejects. */
  readonly handle: (exchange: Exchange) => Promise<void>
  /** How long a streamed reply may stand still because its client does not read. */
  readonly stallMsMax?: number
}

/** Longer than the 60 s after which common load balancers give up an idle connection. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_MS_MAX = 15_000
const TIMEOUT_CHECK_MS = 2_000
/** Longer than an upstream may be silent, so that a quiet stream is not taken for a stalled one. */
const STALL_MS_MAX = 330_000

/**
 * Whoever is cut off by the end of a drain leaves something to be written down: how far a delivery
 * came, or a settlement that is on its way.
 */
const RECORD_MS_MAX = 5_000

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { stallMsMax = STALL_MS_MAX } = options
  const scheme = options.tls ? 'https' : 'http'
  let draining = false
  const inFlight = createInFlight()
  const isDraining = (): boolean => draining
  const connections = createConnections()

  const answer = (exchange: Exchange): Promise<void> =>
    inFlight.run(() =>
      draining ? exchange.respond(problemReply('shutting_down')) : options.handle(exchange),
    )

  const arrival = (awaitsContinue: boolean): Arrival => {
    const settings = options.settings()
    return { settings, awaitsContinue, isDraining, scheme, stallMsMax }
  }

  const serve = (
    request: IncomingMessage,
    response: ServerResponse,
    awaitsContinue: boolean,
  ): void =>
    connections.take(request, response, () => {
      const exchange = new NodeExchange(request, response, arrival(awaitsContinue))
      void answer(exchange)
      return exchange
    })

  const http2 = options.http2 === true ? openHttp2(options, { stallMsMax, handle: answer }) : null
  const { server, tls } = createNodeServer(options, http2)
  server.on('request', (request, response) => serve(request, response, false))
  server.on('checkContinue', (request, response) => serve(request, response, true))
  // An expectation that we do not know may be ignored (RFC 9110 section 10.1.1).
  server.on('checkExpectation', (request, response) => serve(request, response, false))
  server.on('clientError', connections.refuse)
  const upgrades = takeUpgrades(server, {
    connections,
    arrival: () => arrival(false),
    serve(exchange) {
      void answer(exchange)
      void inFlight.run(() => exchange.closed)
    },
  })
  await listen(server, options.listen)

  return {
    url: urlOf(server, options.listen, scheme),
    useCertificate: next => tls?.useCertificate(next),
    get inFlight() {
      return inFlight.count
    },
    async drain(timeoutMs) {
      draining = true
      const closed = new Promise<void>(resolve => void server.close(() => resolve()))
      server.closeIdleConnections()
      http2?.drain()
      await inFlight.idle(timeoutMs)
      server.closeAllConnections()
      http2?.destroyConnections()
      tls?.destroyConnections()
      upgrades.destroyAll()
      await closed
      await inFlight.idle(RECORD_MS_MAX)
    },
  }
}

function openHttp2(
  { limits, settings }: HttpServerOptions,
  rest: Pick<Http2ServerOptions, 'stallMsMax' | 'handle'>,
): Http2Connections {
  return createHttp2Connections({
    ...rest,
    settings,
    headerBytesMax: limits.headerBytes,
    requestMsMax: limits.requestTimeoutMs,
    firstRequestMsMax: Math.min(HEADERS_MS_MAX, limits.requestTimeoutMs),
    idleMsMax: KEEP_ALIVE_MS,
  })
}

function createNodeServer(
  { limits, tls = null }: Pick<HttpServerOptions, 'limits' | 'tls'>,
  http2: Http2Connections | null,
): {
  readonly server: Server
  readonly tls: TlsListener | null
} {
  const headersTimeout = Math.min(HEADERS_MS_MAX, limits.requestTimeoutMs)
  const options: ServerOptions = {
    maxHeaderSize: limits.headerBytes,
    requestTimeout: limits.requestTimeoutMs,
    headersTimeout,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, limits.requestTimeoutMs),
    insecureHTTPParser: false,
    // The corridor refuses a request without Host, in the same words as any other bad one.
    requireHostHeader: false,
    noDelay: true,
  }
  const listener =
    tls &&
    createTlsListener(tls, { ...options, handshakeTimeout: headersTimeout }, http2?.accept ?? null)
  const server = listener?.server ?? createServer(options)
  // Bounded by bytes: a count would drop the headers beyond it without a word.
  server.maxHeadersCount = 0
  if (limits.connections !== undefined) server.maxConnections = limits.connections
  return { server, tls: listener }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      // From here on it tells of connections that could not be accepted, as when descriptors run
      // out. That concerns those clients only, and must not end the process.
      server.on('error', () => {})
      resolve()
    })
  })
}

function urlOf(server: Server, { host }: ListenAddress, scheme: string): string {
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
