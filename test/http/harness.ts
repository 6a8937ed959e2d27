import { afterEach } from 'vitest'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import type { TlsConfig } from '../../src/config/tls-config.ts'
import { problemReply } from '../../src/flow/answers.ts'
import type { Delivery, Exchange, Reply } from '../../src/flow/exchange.ts'
import { upstreamFailure } from '../../src/flow/forward.ts'
import { createHostList } from '../../src/http/allowed-hosts.ts'
import { createClientAddressReader } from '../../src/http/client-address.ts'
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../../src/http/server.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { upstreamAt } from '../upstream/harness.ts'

interface ServerSettings {
  readonly publicUrl?: string
  readonly hosts?: readonly string[]
  readonly trustedProxies?: readonly string[]
  readonly limits?: Partial<HttpServerOptions['limits']>
  readonly stallMsMax?: number
  readonly tls?: TlsConfig
}

export interface TestServer extends HttpServer {
  /** What `respond` resolved to, in the order in which it did. */
  readonly deliveries: Delivery[]
  connect(): Promise<RawClient>
}

const closings: (() => unknown)[] = []

/** Call once at the top of a test file. */
export function stopAfterEach(): void {
  afterEach(async () => {
    for (const close of closings.splice(0).reverse()) await close()
  })
}

export function onStop(close: () => unknown): void {
  closings.push(close)
}

type Answer = (exchange: Exchange) => Reply | Promise<Reply>

/** The real server in front of a corridor of one room. */
export async function serve(answer: Answer, settings: ServerSettings = {}): Promise<TestServer> {
  const deliveries: Delivery[] = []
  const limits = {
    headerBytes: 16_384,
    bodyBytes: 1_000_000,
    requestTimeoutMs: 30_000,
    ...settings.limits,
  }
  const clientAddress = createClientAddressReader(settings.trustedProxies ?? [])
  const publicUrl = settings.publicUrl ?? null
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    limits,
    tls: settings.tls ?? null,
    http2: settings.tls !== undefined,
    ...(settings.stallMsMax === undefined ? {} : { stallMsMax: settings.stallMsMax }),
    settings: () => ({
      publicUrl,
      bodyBytesMax: limits.bodyBytes,
      replyBytesPerSecondMin: settings.limits?.replyBytesPerSecondMin,
      allowsHost: createHostList(settings.hosts ?? null),
      clientAddress,
    }),
    handle: async exchange => {
      const reply = await Promise.resolve(exchange).then(answer).catch(answerError)
      deliveries.push(await exchange.respond(reply))
    },
  })
  onStop(() => server.drain(0))
  return {
    url: server.url,
    deliveries,
    useCertificate: server.useCertificate,
    drain: timeoutMs => server.drain(timeoutMs),
    get inFlight() {
      return server.inFlight
    },
    async connect() {
      const client = await connectRaw(server.url)
      onStop(() => client.destroy())
      return client
    },
  }
}

function answerError(error: unknown): Reply {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return problemReply(code === 'body_too_large' ? 'body_too_large' : 'internal_error')
}

export function textReply(text: string, headers: readonly string[] = []): Reply {
  return { status: 200, headers, body: Buffer.from(text, 'latin1'), outcome: 'test' }
}

/** Forwards everything to one upstream, as a free route does. */
function passThrough(upstream: Upstream, timeoutMs = 5_000): Answer {
  return async exchange => {
    if (exchange.flaw !== null) return problemReply(exchange.flaw.code, exchange.flaw)
    let stopWatching = (): void => {}
    const outcome = await upstream.send(
      {
        method: exchange.method,
        target: exchange.rawTarget,
        rawHeaders: exchange.rawHeaders,
        addedHeaders: [],
        body: exchange.bodyStream(),
        timeoutMs,
      },
      abort => {
        stopWatching = exchange.onClientGone(abort)
      },
    )
    stopWatching()
    return outcome.kind === 'response' ? { ...outcome, outcome: 'test' } : upstreamFailure(outcome)
  }
}

/** The real server, the real upstream, and nothing between them that looks at the request. */
export async function serveUpstream(
  url: string,
  settings: ServerSettings & { readonly upstream?: Partial<UpstreamConfig> } = {},
): Promise<TestServer> {
  const upstream = upstreamAt(url, settings.upstream)
  onStop(() => upstream.close())
  return serve(passThrough(upstream), settings)
}

/** A GET with just the headers that HTTP/1.1 asks for. */
export function get(target: string, headers = ''): string {
  return `GET ${target} HTTP/1.1\r\nHost: example.com\r\n${headers}\r\n`
}

export function post(headers: string, body = ''): string {
  return `POST / HTTP/1.1\r\nHost: example.com\r\n${headers}\r\n\r\n${body}`
}
