import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ListenAddress } from '../config/gateway-config.ts'
import { FareboxError } from '../errors.ts'

export interface AdminOptions {
  readonly listen: ListenAddress
  /** The Prometheus text format, version 0.0.4. */
  readonly metrics: () => Promise<string>
  readonly readiness: () => Promise<Readiness>
}

export interface Readiness {
  readonly ready: boolean
  /** Why not, or what is worth knowing although it is ready; safe to show. */
  readonly reasons: readonly string[]
}

export interface AdminServer {
  /** "http://127.0.0.1:9402" */
  readonly url: string
  close(): Promise<void>
}

/** The admin address cannot be listened on. */
export class AdminListenError extends FareboxError {
  readonly code = 'admin_listen_failed'

  constructor({ host, port }: ListenAddress, cause: unknown) {
    super(`The admin server cannot listen on ${host}:${port}.`, {
      fix: 'Choose another admin.listen, or stop what uses this address.',
      cause,
    })
  }
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

const TEXT = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json'
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A few scrapers and probes; everything is sized for them. */
const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
}
const CONNECTIONS_MAX = 64
/** A reader that takes a response this slowly is cut off. */
const IDLE_MS_MAX = 70_000
const CLOSE_MS_MAX = 1_000

/**
 * Serves /metrics, /healthz (200 while the process lives) and /readyz (503 while requests should
 * go elsewhere). Meant for the operator's network: it shows nothing secret, and asks for no login.
 *
 * @throws AdminListenError when the address cannot be listened on.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const server = createServer(LIMITS, (request, response) => {
    void answer(request, options).then(found => send(request, response, found))
  })
  server.maxConnections = CONNECTIONS_MAX
  server.setTimeout(IDLE_MS_MAX)
  await listen(server, options.listen)
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  const { host } = options.listen
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: () => close(server),
  }
}

/** Never rejects. */
async function answer(request: IncomingMessage, options: AdminOptions): Promise<Answer> {
  const page = PAGES.get(request.url?.split('?')[0] ?? '')
  if (page === undefined) return { status: 404, contentType: TEXT, body: 'not found\n' }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: TEXT, body: 'use GET\n' }
  }
  try {
    return await page(options)
  } catch {
    return { status: 500, contentType: TEXT, body: 'this page failed\n' }
  }
}

type Page = (options: AdminOptions) => Answer | Promise<Answer>

const PAGES = new Map<string, Page>([
  ['/metrics', showMetrics],
  ['/healthz', () => ({ status: 200, contentType: TEXT, body: 'ok\n' })],
  ['/readyz', showReadiness],
])

async function showMetrics({ metrics }: AdminOptions): Promise<Answer> {
  return { status: 200, contentType: METRICS_TYPE, body: await metrics() }
}

async function showReadiness({ readiness }: AdminOptions): Promise<Answer> {
  const { ready, reasons } = await readiness()
  const body = `${JSON.stringify({ ready, reasons })}\n`
  return { status: ready ? 200 : 503, contentType: JSON_TYPE, body }
}

function send(request: IncomingMessage, response: ServerResponse, found: Answer): void {
  const body = Buffer.from(found.body)
  response.writeHead(found.status, {
    'Content-Type': found.contentType,
    'Content-Length': body.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(found.status === 405 ? { Allow: 'GET, HEAD' } : {}),
    // A body that nobody asked for is not worth reading away.
    ...(hasBody(request) ? { Connection: 'close' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function hasBody({ headers }: IncomingMessage): boolean {
  return (headers['content-length'] ?? '0') !== '0' || headers['transfer-encoding'] !== undefined
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new AdminListenError(address, error))
    server.once('error', fail)
    server.listen({ host: address.host, port: address.port }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

/** Lets running scrapes end, for a moment. */
async function close(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => void server.close(() => resolve()))
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX)
  await closed
  clearTimeout(timer)
}
