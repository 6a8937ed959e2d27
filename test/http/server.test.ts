import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Exchange } from '../../src/flow/exchange.ts'
import { createClientAddressReader } from '../../src/http/client-address.ts'
import { startHttpServer } from '../../src/http/server.ts'
import { CutShortError, type RawResponse, valuesOf } from '../support/raw-client.ts'
import { get, onStop, post, serve, stopAfterEach, type TestServer, textReply } from './harness.ts'

stopAfterEach()

function problemIn(response: RawResponse): { status: number; code: string } {
  expect(valuesOf(response, 'content-type')).toEqual(['application/problem+json'])
  expect(valuesOf(response, 'cache-control')).toEqual(['no-store'])
  const { status, code } = JSON.parse(response.body.toString())
  expect(response.status).toBe(status)
  return { status, code }
}

async function answerTo(bytes: string, server?: TestServer): Promise<RawResponse> {
  const { connect } = server ?? (await serve(() => textReply('ok')))
  const client = await connect()
  client.send(bytes)
  return client.read()
}

describe('replies', () => {
  test('a reply in memory gets its length, and the connection stays', async () => {
    const server = await serve(() => textReply('hello', ['X-A', '1', 'x-a', '2']))
    const client = await server.connect()
    for (let count = 0; count < 3; count++) {
      client.send(get('/'))
      const response = await client.read()
      expect(response.status).toBe(200)
      expect(valuesOf(response, 'content-length')).toEqual(['5'])
      expect(valuesOf(response, 'x-a')).toEqual(['1', '2'])
      expect(response.body.toString()).toBe('hello')
    }
    expect(server.deliveries).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test('HEAD gets the length and no body', async () => {
    const server = await serve(() => textReply('hello'))
    const client = await server.connect()
    client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(valuesOf(await client.read('HEAD'), 'content-length')).toEqual(['5'])
    client.send(get('/'))
    expect((await client.read()).body.toString()).toBe('hello')
  })

  test('204 gets neither', async () => {
    const empty = { status: 204, headers: [], body: Buffer.alloc(0), outcome: 'test' }
    const response = await answerTo(get('/'), await serve(() => empty))
    expect(response.status).toBe(204)
    expect(valuesOf(response, 'content-length')).toEqual([])
    expect(valuesOf(response, 'transfer-encoding')).toEqual([])
  })

  test('header bytes beyond ASCII stay', async () => {
    const utf8 = Buffer.from('naïve €').toString('latin1')
    const response = await answerTo(get('/'), await serve(() => textReply('', ['X-A', utf8])))
    expect(valuesOf(response, 'x-a')).toEqual([utf8])
  })

  test('the bytes of a Content-Disposition stay, whatever stands around it', async () => {
    const name = `attachment; filename="${Buffer.from('é€').toString('latin1')}\xe9.pdf"`
    const headers = ['Content-Length', '5', 'Content-Disposition', name]
    const response = await answerTo(get('/'), await serve(() => textReply('hello', headers)))
    expect(valuesOf(response, 'content-disposition')).toEqual([name])
    expect(valuesOf(response, 'content-length')).toEqual(['5'])
  })

  test.each([
    ['a line break', ['X-A', 'a\r\nX-B: b']],
    ['a name that is none', ['X A', 'a']],
  ])('headers with %s: the connection ends, and nothing else does', async (_name, headers) => {
    const server = await serve(exchange =>
      textReply('ok', exchange.rawTarget === '/' ? headers : []),
    )
    await expect(answerTo(get('/'), server)).rejects.toThrow(CutShortError)
    expect((await answerTo(get('/good'), server)).status).toBe(200)
    expect(server.deliveries).toEqual(['aborted', 'delivered'])
  })
})

describe('request bodies that nobody reads', () => {
  const unread = () => serve(() => textReply('unpaid'))

  test('short: the connection carries the next request', async () => {
    const client = await (await unread()).connect()
    for (let count = 0; count < 3; count++) {
      client.send(post('Content-Length: 1000', 'x'.repeat(1_000)))
      const response = await client.read()
      expect(valuesOf(response, 'connection')).toEqual(['keep-alive'])
    }
  })

  test('short and late: the connection carries the next request', async () => {
    const client = await (await unread()).connect()
    client.send(post('Content-Length: 1000'))
    expect(valuesOf(await client.read(), 'connection')).toEqual(['keep-alive'])
    client.send('x'.repeat(1_000) + get('/'))
    expect((await client.read()).status).toBe(200)
  })

  test.each([
    ['long', 'Content-Length: 100000', 'abc'],
    ['in chunks', 'Transfer-Encoding: chunked', '3\r\nabc\r\n'],
  ])('%s: the connection ends with the reply', async (_name, header, part) => {
    const client = await (await unread()).connect()
    client.send(post(header, part))
    const response = await client.read()
    expect(response.body.toString()).toBe('unpaid')
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
  })

  test('long, but already here: the connection stays', async () => {
    const server = await serve(async exchange => {
      await exchange.readBody(200_000)
      return textReply('read')
    })
    const client = await server.connect()
    client.send(post('Content-Length: 100000', 'x'.repeat(100_000)))
    expect(valuesOf(await client.read(), 'connection')).toEqual(['keep-alive'])
  })
})

describe('Expect: 100-continue', () => {
  const expectation = 'Expect: 100-continue\r\nContent-Length: 5'

  test('is answered when the body is wanted', async () => {
    const server = await serve(async exchange => {
      const body = await exchange.readBody(100)
      return textReply(body.kind === 'whole' ? `got ${body.bytes}` : '')
    })
    const client = await server.connect()
    client.send(post(expectation))
    expect(await client.readHead()).toEqual({ status: 100, rawHeaders: [] })
    client.send('hello')
    const response = await client.read()
    expect(response.body.toString()).toBe('got hello')
    expect(valuesOf(response, 'connection')).toEqual(['keep-alive'])
  })

  test('is not answered when it is not, and the connection ends', async () => {
    const client = await (await serve(() => textReply('pay first'))).connect()
    client.send(post(expectation))
    const response = await client.read()
    expect(response.status).toBe(200)
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
  })

  test('any other expectation is ignored', async () => {
    const response = await answerTo(get('/', 'Expect: wonders\r\n'))
    expect(response.body.toString()).toBe('ok')
  })
})

describe('bytes that are not a request', () => {
  test.each([
    ['garbage', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['a method that is none', 'G(ET / HTTP/1.1\r\n\r\n'],
    ['a version that is none', 'GET / HTTP/9.9\r\n\r\n'],
    ['a header without a colon', get('/', 'nonsense\r\n')],
    ['a space before the colon', get('/', 'X-A : b\r\n')],
    ['a folded header', get('/', 'X-A: b\r\n c\r\n')],
    ['a bare line feed in a value', get('/', 'X-A: b\nX-B: c\r\n')],
    ['two lengths', post('Content-Length: 1\r\nContent-Length: 1', 'x')],
    ['a length and chunks', post('Content-Length: 1\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a length that is no number', post('Content-Length: +1', 'x')],
    ['an unknown transfer coding', post('Transfer-Encoding: gzip', 'x')],
    ['a chunk that has no length', post('Transfer-Encoding: chunked', 'zz\r\n')],
  ])('%s: 400 malformed_request, and the connection ends', async (_name, bytes) => {
    const pending = Promise.withResolvers<never>()
    pending.promise.catch(() => {})
    const server = await serve(() => pending.promise)
    const client = await server.connect()
    client.send(bytes)
    const response = await client.read()
    expect(problemIn(response)).toEqual({ status: 400, code: 'malformed_request' })
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
    pending.reject(new Error('The test is over.'))
  })

  test('more header bytes than the limit: 431', async () => {
    const server = await serve(() => textReply('ok'), { limits: { headerBytes: 4_096 } })
    const response = await answerTo(get('/', `X-A: ${'x'.repeat(5_000)}\r\n`), server)
    expect(problemIn(response)).toEqual({ status: 431, code: 'headers_too_large' })
  })

  test('a client that goes on sending after its 431 still gets to read it', async () => {
    const server = await serve(() => textReply('ok'), { limits: { headerBytes: 4_096 } })
    const client = await server.connect()
    client.send('GET / HTTP/1.1\r\n')
    for (let count = 0; count < 200; count++) client.send(`X-${count}: ${'x'.repeat(10_000)}\r\n`)
    expect(problemIn(await client.read()).code).toBe('headers_too_large')
    expect(client.errorCode).toBe(null)
  })

  test.each([
    ['head', 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: '],
    ['body', post('Content-Length: 10', 'abc')],
  ])('a %s that does not come in time: 408', async (_name, bytes) => {
    const server = await serve(
      async exchange => {
        await exchange.readBody(100)
        return textReply('not reached')
      },
      { limits: { requestTimeoutMs: 100 } },
    )
    const client = await server.connect()
    client.send(bytes)
    expect(problemIn(await client.read())).toEqual({ status: 408, code: 'request_timeout' })
    await client.closed
  })

  test('a rest of an answered request that never comes gets no answer of its own', async () => {
    const settings = { limits: { requestTimeoutMs: 100 } }
    const client = await (await serve(() => textReply('unpaid'), settings)).connect()
    client.send(post('Content-Length: 10', 'abc'))
    expect((await client.read()).body.toString()).toBe('unpaid')
    expect((await client.readToEnd()).toString()).toBe('')
  })

  test('garbage after a request that is being answered does not fall into its response', async () => {
    const begun = Promise.withResolvers<Exchange>()
    const gone = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      exchange.onClientGone(() => gone.resolve())
      begun.resolve(exchange)
      await gone.promise
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/'))
    await begun.promise
    client.send('\0\0\0\0\r\n\r\n')
    expect((await client.readToEnd()).toString()).toBe('')
    await gone.promise
  })

  test('a client that disappears in the middle of a head leaves nothing behind', async () => {
    const server = await serve(() => textReply('ok'))
    const client = await server.connect()
    client.send('GET / HTTP/1.1\r\nHost: ')
    client.socket.resetAndDestroy()
    await client.closed
    expect((await answerTo(get('/'), server)).status).toBe(200)
    expect(server.inFlight).toBe(0)
  })
})

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

describe('requests that would turn a connection into something else', () => {
  const whatItIs = (): Promise<TestServer> =>
    serve(({ isHandshake, flaw }) => textReply(isHandshake ? 'handshake' : String(flaw?.code)))

  test.each([
    ['a WebSocket handshake', get('/', HANDSHAKE), 'handshake'],
    ['another Upgrade', get('/', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'), 'upgrade_refused'],
    [
      'CONNECT',
      'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n',
      'upgrade_refused',
    ],
  ])('%s is answered, and is the last of its connection', async (_what, bytes, answer) => {
    const server = await whatItIs()
    const client = await server.connect()
    client.send(bytes + get('/'))
    expect((await client.read()).body.toString()).toBe(answer)
    expect((await client.readToEnd()).toString()).toBe('')
    await expect.poll(() => server.inFlight).toBe(0)
  })
})

describe('pipelined requests', () => {
  test('are served one after another', async () => {
    const served: string[] = []
    const server = await serve(async exchange => {
      served.push(`${exchange.rawTarget} begins`)
      await new Promise(setImmediate)
      served.push(`${exchange.rawTarget} ends`)
      return textReply(exchange.rawTarget)
    })
    const client = await server.connect()
    client.send(get('/1') + get('/2') + get('/3'))
    for (const target of ['/1', '/2', '/3']) {
      expect((await client.read()).body.toString()).toBe(target)
    }
    const inTurn = ['/1', '/2', '/3'].flatMap(target => [`${target} begins`, `${target} ends`])
    expect(served).toEqual(inTurn)
  })

  test('a client that does not wait is no more served than others', async () => {
    const served: string[] = []
    const allHere = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      served.push(exchange.rawTarget)
      if (served.length === 2) allHere.resolve()
      await allHere.promise
      return textReply('ok')
    })
    const [greedy, patient] = [await server.connect(), await server.connect()]
    greedy.send(get('/greedy').repeat(50))
    await expect.poll(() => served).toEqual(['/greedy'])
    patient.send(get('/patient'))
    expect((await patient.read()).status).toBe(200)
    expect(served.slice(0, 2)).toEqual(['/greedy', '/patient'])
    for (let count = 0; count < 50; count++) expect((await greedy.read()).status).toBe(200)
  })

  test('those that wait for a client that has gone are never served', async () => {
    const gone: string[] = []
    const begun = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      const noticed = new Promise<void>(resolve => exchange.onClientGone(resolve))
      begun.resolve()
      await noticed
      gone.push(exchange.rawTarget)
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/1') + get('/2') + get('/3'))
    await begun.promise
    client.destroy()
    await server.drain(1_000)
    expect(gone).toEqual(['/1'])
    expect(server.deliveries).toEqual(['aborted'])
  })

  test('no more is read of a client while many of its requests wait', async () => {
    const begun = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const server = await serve(async ({ rawTarget }) => {
      begun.resolve()
      if (rawTarget === '/') await finish.promise
      return textReply('ok')
    })
    const client = await server.connect()
    // What is read on top of what waits would end the connection.
    const padded = get('/').replace('\r\n\r\n', `\r\nX-Padding: ${'x'.repeat(8_000)}\r\n\r\n`)
    const count = 1_000
    client.send(padded.repeat(count))
    await begun.promise
    // In so many turns, far more than what may wait could be read.
    const other = await server.connect()
    for (let turn = 0; turn < 200; turn++) {
      other.send(get('/other'))
      expect((await other.read()).status).toBe(200)
    }
    expect(client.socket.writableLength).toBeGreaterThan(0)
    finish.resolve()
    for (let read = 0; read < count; read++) expect((await client.read()).status).toBe(200)
  })

  test('too many in one go end the connection', async () => {
    const served: string[] = []
    const server = await serve(async exchange => {
      served.push(exchange.rawTarget)
      await new Promise<void>(resolve => exchange.onClientGone(resolve))
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/').repeat(1_000))
    expect((await client.readToEnd()).toString()).toBe('')
    expect(served).toEqual(['/'])
  })

  test('many, each answered in time, are fine', async () => {
    const client = await (await serve(() => textReply('ok'))).connect()
    for (let round = 0; round < 5; round++) {
      client.send(get('/').repeat(50))
      for (let count = 0; count < 50; count++) expect((await client.read()).status).toBe(200)
    }
  })
})

describe('drain', () => {
  test('what runs finishes, new requests get 503, kept-alive connections end', async () => {
    const finish = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const server = await serve(async () => {
      begun.resolve()
      await finish.promise
      return textReply('finished')
    })
    const client = await server.connect()
    client.send(get('/'))
    await begun.promise
    let drained = false
    const drain = server.drain(5_000).then(() => {
      drained = true
    })
    client.send(get('/next'))
    await new Promise(resolve => setImmediate(resolve))
    expect({ drained, inFlight: server.inFlight > 0 }).toEqual({ drained: false, inFlight: true })
    finish.resolve()
    const response = await client.read()
    expect(response.body.toString()).toBe('finished')
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
    await drain
  })

  test('a request on a connection from before gets 503 shutting_down', async () => {
    const finish = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      if (exchange.rawTarget !== '/slow') return textReply('ok')
      begun.resolve()
      await finish.promise
      return textReply('finished')
    })
    const slow = await server.connect()
    const other = await server.connect()
    // A request and a half: once the first is answered, the half is known to have arrived.
    other.send(`${get('/')}GET /new HTTP/1.1\r\nHo`)
    await other.read()
    slow.send(get('/slow'))
    await begun.promise
    const drain = server.drain(5_000)
    other.send('st: a\r\n\r\n')
    const response = await other.read()
    expect(problemIn(response)).toEqual({ status: 503, code: 'shutting_down' })
    expect(valuesOf(response, 'retry-after')).toEqual(['1'])
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    finish.resolve()
    await drain
  })

  test('idle connections end at once, and nobody new gets in', async () => {
    const server = await serve(() => textReply('ok'))
    const client = await server.connect()
    client.send(get('/'))
    await client.read()
    await server.drain(5_000)
    await client.closed
    const { hostname, port } = new URL(server.url)
    const socket = connect({ host: hostname, port: Number(port) })
    const [error] = await once(socket, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('what hangs is cut off after the time-out', async () => {
    const begun = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      begun.resolve()
      await new Promise<void>(resolve => exchange.onClientGone(resolve))
      gone.resolve()
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/'))
    await begun.promise
    await server.drain(50)
    await Promise.all([gone.promise, client.closed])
  })

  test('twice is as good as once', async () => {
    const server = await serve(() => textReply('ok'))
    await Promise.all([server.drain(1_000), server.drain(1_000)])
  })
})

test('a port that is taken: rejects', async () => {
  const { url } = await serve(() => textReply('ok'))
  const clientAddress = createClientAddressReader([])
  const second = startHttpServer({
    listen: { host: '127.0.0.1', port: Number(new URL(url).port) },
    limits: { headerBytes: 16_384, bodyBytes: 1_000, requestTimeoutMs: 1_000 },
    settings: () => ({
      publicUrl: null,
      bodyBytesMax: 1_000,
      allowsHost: () => true,
      clientAddress,
    }),
    handle: async () => {},
  })
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

test('an IPv6 address stands in brackets in the URL', async () => {
  const clientAddress = createClientAddressReader([])
  const server = await startHttpServer({
    listen: { host: '::1', port: 0 },
    limits: { headerBytes: 16_384, bodyBytes: 1_000, requestTimeoutMs: 1_000 },
    settings: () => ({
      publicUrl: null,
      bodyBytesMax: 1_000,
      allowsHost: () => true,
      clientAddress,
    }),
    handle: async exchange => void (await exchange.respond(textReply(exchange.clientAddress))),
  })
  onStop(() => server.drain(0))
  expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/)
  expect(await (await fetch(server.url)).text()).toBe('::1')
})
