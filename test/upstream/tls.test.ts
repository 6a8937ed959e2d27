import { once } from 'node:events'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { beforeAll, expect, test, vi } from 'vitest'
import type { UpstreamTlsConfig } from '../../src/config/upstream-config.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
} from '../support/certificates.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { asResponse, collect, requestTo, send, upstreamOver } from './harness.ts'
import { closeAfterEach, keepOpen } from './servers.ts'

closeAfterEach()

let authority: CertificateAuthority
let stranger: CertificateAuthority
let pair: Certificate

beforeAll(async () => {
  authority = await createAuthority()
  stranger = await createAuthority('Stranger')
  pair = await authority.issue({ name: 'api.internal' })
})

interface SecureServer {
  readonly url: string
  /** Of each request: the name that was asked for, and whose certificate came. */
  readonly seen: { readonly name: unknown; readonly client: string | undefined }[]
  /** How many connections there were. */
  readonly connections: Socket[]
}

async function serveSecurely(options: ServerOptions = {}): Promise<SecureServer> {
  const seen: SecureServer['seen'] = []
  const connections: Socket[] = []
  const server: Server = createServer({ ...pair, ...options }, ({ socket }, response) => {
    const { servername, getPeerCertificate } = socket as TLSSocket // it is an https server
    const client = getPeerCertificate.call(socket)?.subject?.CN
    seen.push({ name: servername, client: client === undefined ? undefined : String(client) })
    response.end('ok')
  })
  server.on('connection', socket => connections.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  keepOpen({
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of connections) socket.destroy()
      await closed
    },
  })
  const { port } = server.address() as AddressInfo // it listens on a port
  return { url: `https://127.0.0.1:${port}`, seen, connections }
}

function upstreamTo(urls: readonly string[], tls: Partial<UpstreamTlsConfig> | null): Upstream {
  const full = tls && { ca: null, identity: null, serverName: null, ...tls }
  return keepOpen(upstreamOver(urls, { tls: full, connectTimeoutMs: 2_000, maxConnections: 1 }))
}

async function textOf(upstream: Upstream): Promise<string> {
  return (await collect(asResponse(await send(upstream, requestTo('/'))).body)).bytes.toString()
}

test('an authority of our own is trusted, and nobody else is', async () => {
  const { url, seen } = await serveSecurely()
  expect(await textOf(upstreamTo([url], { ca: authority.cert }))).toBe('ok')
  for (const tls of [null, { ca: stranger.cert }]) {
    expect(await send(upstreamTo([url], tls), requestTo('/'))).toMatchObject({
      kind: 'unreachable',
      detail: expect.stringMatching(/SELF_SIGNED|VERIFY|ISSUER/),
    })
  }
  expect(seen).toHaveLength(1)
})

test('no variable of the environment makes it trust a stranger', async () => {
  const { url, seen } = await serveSecurely()
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  const outcome = await send(upstreamTo([url], { ca: stranger.cert }), requestTo('/'))
  vi.unstubAllEnvs()
  expect([outcome.kind, seen]).toEqual(['unreachable', []])
})

test('the configured name is asked for, and the certificate must be for it', async () => {
  const { url, seen } = await serveSecurely()
  const ca = authority.cert
  expect(await textOf(upstreamTo([url], { ca, serverName: 'api.internal' }))).toBe('ok')
  const other = upstreamTo([url], { ca, serverName: 'other.internal' })
  expect(await send(other, requestTo('/'))).toEqual({
    kind: 'unreachable',
    detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
  expect(seen).toEqual([{ name: 'api.internal', client: undefined }])
})

test('a Host that a caller chose decides neither the certificate nor the connection', async () => {
  const { url, seen, connections } = await serveSecurely()
  const upstream = upstreamTo([url], { ca: authority.cert })
  for (const host of ['one.example', 'two.example', 'other.internal']) {
    const addedHeaders = ['Host', host]
    const response = asResponse(await send(upstream, requestTo('/', { addedHeaders })))
    await collect(response.body)
  }
  expect([seen.map(({ name }) => name), connections.length]).toEqual([[false, false, false], 1])
})

test('our certificate is shown to a server that wants one', async () => {
  const { url, seen } = await serveSecurely({ ca: authority.cert, requestCert: true })
  const identity = await authority.issue({ name: 'farebox' })
  expect(await textOf(upstreamTo([url], { ca: authority.cert, identity }))).toBe('ok')
  expect(seen).toEqual([{ name: false, client: 'farebox' }])
  const nameless = upstreamTo([url], { ca: authority.cert })
  expect(await send(nameless, requestTo('/'))).toMatchObject({ kind: 'unreachable' })
  expect(seen).toHaveLength(1)
})

test('a handshake that fails or never ends has sent nothing: the next server is asked', async () => {
  const good = await serveSecurely()
  const silent = keepOpen(await startRawUpstream(() => {}))
  const bad = await serveSecurely(await stranger.issue())
  const places = [silent.url.replace('http:', 'https:'), bad.url, good.url]
  const upstream = upstreamTo(places, { ca: authority.cert })
  const request = requestTo('/', { method: 'POST', body: Buffer.from('hello') })
  await collect(asResponse(await send(upstream, request)).body)
  expect([bad.seen.length, good.seen.length, silent.heads.length]).toEqual([0, 1, 0])
})
