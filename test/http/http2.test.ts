import { once } from 'node:events'
import { type ClientHttp2Session, constants } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TlsConfig } from '../../src/config/tls-config.ts'
import { unixMs } from '../../src/core/time.ts'
import { problemReply } from '../../src/flow/answers.ts'
import type { Exchange, Reply } from '../../src/flow/exchange.ts'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import { ask, connectHttp2 } from '../support/http2-client.ts'
import { onStop, serve, stopAfterEach, type TestServer, textReply } from './harness.ts'

stopAfterEach()

let authority: CertificateAuthority
let tls: TlsConfig

beforeAll(async () => {
  authority = await createAuthority()
  const pair = await authority.issue()
  tls = { ...pair, clientCa: authority.cert, notAfter: unixMs(Date.now() + 86_400_000) }
})

type Answer = (exchange: Exchange) => Reply | Promise<Reply>

async function open(
  answer: Answer,
  settings: Parameters<typeof serve>[1] = {},
): Promise<{ server: TestServer; session: ClientHttp2Session }> {
  const server = await serve(
    exchange =>
      exchange.flaw === null ? answer(exchange) : problemReply(exchange.flaw.code, exchange.flaw),
    { tls, ...settings },
  )
  const session = await connectHttp2(server.url, { ca: authority.cert })
  onStop(() => session.destroy())
  return { server, session }
}

const say = (text: string) => () => textReply(text)
const GET = { ':path': '/', ':authority': 'example.com' }

describe('a request over HTTP/2', () => {
  test('is answered, and its connection carries the next', async () => {
    const { session, server } = await open(exchange => textReply(exchange.rawTarget))
    expect(await ask(session, { ...GET, ':path': '/a?b=c' })).toMatchObject({
      status: 200,
      body: '/a?b=c',
      headers: { 'content-length': '6' },
      trailers: null,
    })
    expect((await ask(session, GET)).body).toBe('/')
    await expect.poll(() => server.deliveries).toEqual(['delivered', 'delivered'])
    expect(server.inFlight).toBe(0)
  })

  test('is answered however many answers were taken back before', async () => {
    const long = textReply('x'.repeat(1_000_000))
    const { session } = await open(({ rawTarget }) => (rawTarget === '/' ? textReply('') : long))
    // More in all than node:http2 allows to wait on one connection.
    for (let count = 0; count < 20; count++) {
      const stream = session.request({ ...GET, ':path': '/long' })
      await once(stream, 'response')
      stream.close(constants.NGHTTP2_CANCEL)
      await once(stream, 'close')
    }
    expect((await ask(session, GET)).status).toBe(200)
  })

  test('may bring 64 KiB before it is read, and does not wait for a hundred others', async () => {
    const { session } = await open(say(''))
    await ask(session, GET)
    expect(session.remoteSettings.initialWindowSize).toBe(65_535)
    expect(session.state.remoteWindowSize).toBe(100 * 65_535)
  })

  test('has the same face as one over HTTP/1.1', async () => {
    const { session } = await open(({ method, host, origin, clientAddress, headerValues }) =>
      textReply(JSON.stringify([method, host, origin, clientAddress, headerValues('x-a')])),
    )
    const { body } = await ask(session, { ...GET, 'X-A': ['1', '2'] })
    const face = ['GET', 'example.com', 'https://example.com', '127.0.0.1', ['1', '2']]
    expect(JSON.parse(body)).toEqual(face)
  })

  test('has its cookies in one header, as HTTP/1.1 would', async () => {
    const { session } = await open(exchange => textReply(exchange.headerValues('cookie').join('|')))
    const crumbs = [':path', '/', ':authority', 'a', 'cookie', 'a=1', 'cookie', 'b=2']
    expect((await ask(session, crumbs)).body).toBe('a=1; b=2')
  })

  test('shows the names of its client certificate', async () => {
    const { server } = await open(exchange => textReply(exchange.certificateNames.join()))
    const billing = await authority.issue({ name: 'billing' })
    const session = await connectHttp2(server.url, { ca: authority.cert, ...billing })
    onStop(() => session.destroy())
    expect((await ask(session, GET)).body).toBe('billing')
  })

  test('brings its body', async () => {
    const { session } = await open(async exchange => {
      const body = await exchange.readBody(1_000)
      return textReply(body.kind === 'whole' ? body.bytes.toString() : 'a stream')
    })
    const POST = { ...GET, ':method': 'POST' }
    expect((await ask(session, POST, 'hello')).body).toBe('hello')
    expect((await ask(session, { ...POST, 'content-length': 5 }, 'hello')).body).toBe('hello')
    expect((await ask(session, POST, 'x'.repeat(100_000))).body).toBe('a stream')
    expect((await ask(session, POST)).body).toBe('')
  })

  test('that waits for 100 gets it when its body is wanted', async () => {
    const { session } = await open(async exchange => {
      await exchange.readBody(1_000)
      return textReply('read')
    })
    const stream = session.request({ ...GET, ':method': 'POST', expect: '100-continue' })
    stream.once('continue', () => stream.end('body'))
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('read')
  })

  test('whose body nobody reads is answered all the same', async () => {
    const { session, server } = await open(say('no'))
    const POST = { ...GET, ':method': 'POST' }
    expect((await ask(session, POST, 'x'.repeat(1_000_000))).body).toBe('no')
    expect((await ask(session, GET)).body).toBe('no')
    await expect.poll(() => server.deliveries).toEqual(['delivered', 'delivered'])
  })
})

describe('a reply over HTTP/2', () => {
  test('to HEAD, and one of 204 and 304, has no body', async () => {
    const { session, server } = await open(({ rawTarget }) => ({
      ...textReply(rawTarget === '/' ? 'body' : ''),
      status: rawTarget === '/' ? 200 : Number(rawTarget.slice(1)),
    }))
    const head = await ask(session, { ...GET, ':method': 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '4' } })
    for (const status of [204, 304]) {
      expect(await ask(session, { ...GET, ':path': `/${status}` })).toMatchObject({
        status,
        body: '',
      })
    }
    await expect.poll(() => server.deliveries).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test('keeps its repeated headers, and loses those of an HTTP/1.1 connection', async () => {
    const headers = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Keep-Alive', 'timeout=5']
    const { session } = await open(() => textReply('x', [...headers, 'Connection', 'close']))
    const answer = await ask(session, GET)
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    expect(Object.keys(answer.headers)).not.toContain('keep-alive')
    expect(Object.keys(answer.headers)).not.toContain('connection')
  })

  test('says twice what the API said twice, though it may be said once only', async () => {
    const headers = ['Content-Location', '/a', 'Content-Location', '/b']
    const { session, server } = await open(() => textReply('x', headers))
    expect(await ask(session, GET)).toMatchObject({ status: 200, body: 'x' })
    await expect.poll(() => server.deliveries).toEqual(['delivered'])
  })
})

describe('a client without HTTP/2', () => {
  test('is served over HTTP/1.1 by the same listener', async () => {
    const { server } = await open(say('1.1'))
    const { hostname: host, port } = new URL(server.url)
    // The last is what curl --http1.0 offers.
    for (const protocols of [['http/1.1'], [], ['http/1.0']]) {
      const socket = connectTls({
        ...{ host, port: Number(port), ca: authority.cert },
        ...(protocols.length > 0 ? { ALPNProtocols: protocols } : {}),
      })
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      const text = Buffer.concat(await socket.toArray()).toString()
      expect(text).toMatch(/^HTTP\/1\.1 200 /)
    }
  })
})

describe('a drain', () => {
  test('sends clients elsewhere, and lets what runs end', async () => {
    const reached = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const { session, server } = await open(async () => {
      reached.resolve()
      await held.promise
      return textReply('late')
    })
    const answer = ask(session, GET)
    await reached.promise
    const told = new Promise<number>(resolve => void session.once('goaway', resolve))
    const drained = server.drain(10_000)
    expect(await told).toBe(0)
    held.resolve()
    expect((await answer).body).toBe('late')
    await drained
  })

  test('cuts off what does not end in time', async () => {
    const reached = Promise.withResolvers<void>()
    const { session, server } = await open(exchange => {
      reached.resolve()
      return new Promise(resolve => void exchange.onClientGone(() => resolve(textReply(''))))
    })
    const answer = ask(session, GET).catch(() => 'cut')
    await reached.promise
    await server.drain(10)
    expect(await answer).toBe('cut')
    expect(server.deliveries).toEqual(['aborted'])
  })
})
