import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { ListenAddress, ServerLimits } from '../config/gateway-config.ts'
import { problemReply } from '../flow/answers.ts'
import type { Exchange } from '../flow/exchange.ts'
import type { ProblemCode } from '../flow/problems.ts'
import { type ExchangeSettings, NodeExchange } from './exchange.ts'

export interface HttpServer {
  readonly url: string
  /** Requests that have begun and not ended. */
  readonly inFlight: number
  /** Takes nothing new and resolves when what runs has ended, or after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>
}

export interface HttpServerOptions {
  readonly listen: ListenAddress
  readonly limits: ServerLimits
  /** Asked for each request, because a reload may change them. */
  readonly settings: () => ExchangeSettings
  /** Never rejects. */
  readonly handle: (exchange: Exchange) => Promise<void>
}

/** Longer than the 60 s after which common load balancers give up an idle connection. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_MS_MAX = 15_000
const TIMEOUT_CHECK_MS = 2_000

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { limits } = options
  let draining = false
  let inFlight = 0
  let whenIdle: (() => void) | null = null
  const isDraining = (): boolean => draining

  const serve = async (
    request: IncomingMessage,
    response: ServerResponse,
    awaitsContinue: boolean,
  ): Promise<void> => {
    const arrival = { settings: options.settings(), awaitsContinue, isDraining }
    const exchange = new NodeExchange(request, response, arrival)
    if (draining) {
      await exchange.respond(problemReply('shutting_down'))
      return
    }
    inFlight++
    await options.handle(exchange)
    inFlight--
    if (inFlight === 0) whenIdle?.()
  }

  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    requestTimeout: limits.requestTimeoutMs,
    headersTimeout: Math.min(HEADERS_MS_MAX, limits.requestTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    insecureHTTPParser: false,
    noDelay: true,
  })
  // Bounded by bytes: a count would drop the headers beyond it without a word.
  server.maxHeadersCount = 0
  server.on('request', (request, response) => void serve(request, response, false))
  server.on('checkContinue', (request, response) => void serve(request, response, true))
  server.on('clientError', answerClientError)
  await listen(server, options.listen)

  return {
    url: urlOf(server, options.listen),
    get inFlight() {
      return inFlight
    },
    async drain(timeoutMs) {
      draining = true
      const closed = new Promise<void>(resolve => void server.close(() => resolve()))
      server.closeIdleConnections()
      if (inFlight > 0) {
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, timeoutMs)
          whenIdle = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      server.closeAllConnections()
      await closed
    },
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function urlOf(server: Server, { host }: ListenAddress): string {
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const PARSER_PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Bytes that never became a request get an answer of their own, and the connection ends. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const { status, headers, body } = problemReply(
    PARSER_PROBLEMS[error.code ?? ''] ?? 'malformed_request',
  )
  const lines = [`HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? 'Bad Request'}`]
  for (let index = 0; index < headers.length; index += 2) {
    lines.push(`${headers[index]}: ${headers[index + 1]}`)
  }
  lines.push(`Content-Length: ${Buffer.isBuffer(body) ? body.length : 0}`, 'Connection: close')
  socket.end(`${lines.join('\r\n')}\r\n\r\n${Buffer.isBuffer(body) ? body.toString() : ''}`)
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
}
