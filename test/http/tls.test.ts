import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TlsConfig } from '../../src/config/tls-config.ts'
import { unixMs } from '../../src/core/time.ts'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
} from '../support/certificates.ts'
import { connectRaw, RawClient } from '../support/raw-client.ts'
import { get, serve, stopAfterEach, type TestServer, textReply } from './harness.ts'

stopAfterEach()

let authority: CertificateAuthority
let tls: TlsConfig

beforeAll(async () => {
  authority = await createAuthority()
  const pair = await authority.issue()
  tls = { ...pair, clientCa: authority.cert, notAfter: unixMs(Date.now() + 86_400_000) }
})

async function secured(server: TestServer, shown: Partial<Certificate> = {}): Promise<RawClient> {
  const { hostname: host, port } = new URL(server.url)
  const socket = connectTls({ host, port: Number(port), ca: authority.cert, ...shown })
  await once(socket, 'secureConnect')
  return new RawClient(socket)
}

test('the names of a client certificate are those of its exchange, for every request', async () => {
  const server = await serve(exchange => textReply(exchange.certificateNames.join(' ')), { tls })
  const client = await secured(server, await authority.issue({ name: 'billing' }))
  for (const _ of [1, 2]) {
    client.send(get('/'))
    expect((await client.read()).body.toString()).toBe('billing')
  }
  client.destroy()
  const nobody = await secured(server)
  nobody.send(get('/'))
  expect((await nobody.read()).body.toString()).toBe('')
  nobody.destroy()
})

test('the origin of a request says https, unless a trusted proxy knows better', async () => {
  const trustedProxies = ['127.0.0.1']
  const server = await serve(exchange => textReply(exchange.origin), { tls, trustedProxies })
  const client = await secured(server)
  client.send(get('/'))
  expect((await client.read()).body.toString()).toBe('https://example.com')
  client.send(get('/', 'X-Forwarded-Proto: http\r\n'))
  expect((await client.read()).body.toString()).toBe('http://example.com')
  client.destroy()
})

describe('a connection that is never secured', () => {
  test('ends when its handshake takes too long', async () => {
    const server = await serve(() => textReply(''), { tls, limits: { requestTimeoutMs: 100 } })
    const client = await connectRaw(server.url)
    await client.closed
  })

  test('ends when it speaks something else, and gets no answer in the clear', async () => {
    const server = await serve(() => textReply(''), { tls })
    const client = await connectRaw(server.url)
    client.send(get('/'))
    expect((await client.readToEnd()).toString('latin1')).not.toContain('HTTP/1.1')
    await client.closed
  })

  test('does not hold up the drain', async () => {
    const server = await serve(() => textReply(''), { tls })
    const client = await connectRaw(server.url)
    await server.drain(10_000)
    await client.closed
  })
})
