import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Exchange, Reply } from '../../src/flow/exchange.ts'
import { valuesOf } from '../support/raw-client.ts'
import { get, post, serve, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

/** Sends bytes, and resolves to what `look` saw of the exchange that they became. */
async function seen<T>(
  bytes: string,
  look: (exchange: Exchange) => T | Promise<T>,
  settings: Parameters<typeof serve>[1] = {},
): Promise<T> {
  const value = Promise.withResolvers<T>()
  const server = await serve(async exchange => {
    value.resolve(look(exchange))
    await value.promise
    return textReply('ok')
  }, settings)
  const client = await server.connect()
  client.send(bytes)
  await client.read()
  return value.promise
}

describe('host', () => {
  const withHosts = (...hosts: string[]): string =>
    `GET / HTTP/1.1\r\n${hosts.map(host => `Host: ${host}\r\n`).join('')}\r\n`

  test.each([
    ['example.com'],
    ['example.com:8402'],
    ['EXAMPLE.com'],
    ['localhost'],
    ['192.0.2.1:80'],
    ['[2001:db8::1]'],
    ['[2001:db8::1]:8402'],
    ['my_container'],
  ])('%s is taken as it was sent', async host => {
    expect(await seen(withHosts(host), exchange => exchange.host)).toBe(host)
  })

  test.each([
    ['no Host at all', []],
    ['an empty Host', ['']],
    ['two Hosts', ['example.com', 'example.net']],
    ['the same Host twice', ['example.com', 'example.com']],
    ['a path', ['example.com/x']],
    ['user information', ['user@example.com']],
    ['a space', ['example.com x']],
    ['a comma', ['example.com,example.net']],
    ['a port that is no number', ['example.com:http']],
    ['an empty port', ['example.com:']],
    ['a broken address', ['[2001:db8::1']],
    ['bytes beyond ASCII', ['ex\xe4mple.com']],
    ['a scheme', ['http://example.com']],
  ])('%s: null', async (_name, hosts) => {
    expect(await seen(withHosts(...hosts), exchange => exchange.host)).toBe(null)
  })

  test('HTTP/1.0 without Host: null', async () => {
    expect(await seen('GET / HTTP/1.0\r\n\r\n', exchange => exchange.host)).toBe(null)
  })

  test('X-Forwarded-Host of a stranger changes nothing', async () => {
    const bytes = get('/', 'X-Forwarded-Host: evil.example\r\n')
    expect(await seen(bytes, exchange => exchange.host)).toBe('example.com')
  })

  test('X-Forwarded-Host of a trusted proxy stands for Host', async () => {
    const bytes = get('/', 'X-Forwarded-Host: public.example\r\nX-Forwarded-Proto: https\r\n')
    const settings = { trustedProxies: ['127.0.0.0/8'] }
    const look = ({ host, origin }: Exchange) => ({ host, origin })
    expect(await seen(bytes, look, settings)).toEqual({
      host: 'public.example',
      origin: 'https://public.example',
    })
  })
})

describe('origin', () => {
  test('is built from Host', async () => {
    const origin = await seen(get('/'), exchange => exchange.origin)
    expect(origin).toBe('http://example.com')
  })

  test('publicUrl beats Host and trusted proxies', async () => {
    const bytes = get('/', 'X-Forwarded-Host: proxy.example\r\nX-Forwarded-Proto: http\r\n')
    const settings = { publicUrl: 'https://api.example.com', trustedProxies: ['127.0.0.1'] }
    const origin = await seen(bytes, exchange => exchange.origin, settings)
    expect(origin).toBe('https://api.example.com')
  })
})

describe('request', () => {
  test('shows method, target and headers as they came', async () => {
    const bytes = get('/a//b/../%7e?q=%20', 'X-A: 1\r\nx-a:  2 \r\nX-Latin: \xe9\r\n')
    const shown = await seen(bytes, ({ method, rawTarget, rawHeaders, headerValues }) => ({
      method,
      rawTarget,
      rawHeaders,
      values: headerValues('x-a'),
      none: headerValues('x-none'),
    }))
    expect(shown).toEqual({
      method: 'GET',
      rawTarget: '/a//b/../%7e?q=%20',
      rawHeaders: ['Host', 'example.com', 'X-A', '1', 'x-a', '2', 'X-Latin', '\xe9'],
      values: ['1', '2'],
      none: [],
    })
  })

  test('more than 2000 headers are all there', async () => {
    const names = Array.from({ length: 2_500 }, (_, index) => index.toString(36))
    const bytes = get('/', names.map(name => `${name}:\r\n`).join(''))
    const settings = { limits: { headerBytes: 65_536 } }
    const sent = await seen(bytes, exchange => exchange.rawHeaders, settings)
    expect(sent).toHaveLength(2 * 2_501)
    expect(sent.at(-2)).toBe(names.at(-1))
  })

  test('ids differ', async () => {
    const server = await serve(exchange => textReply(exchange.requestId))
    const client = await server.connect()
    const ids = new Set<string>()
    for (let count = 0; count < 5; count++) {
      client.send(get('/'))
      ids.add((await client.read()).body.toString())
    }
    expect(ids.size).toBe(5)
  })

  test.each([
    ['none', get('/'), 0],
    ['of length 0', post('Content-Length: 0'), 0],
    ['of a length', post('Content-Length: 5', 'hello'), 5],
    ['in chunks', post('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'), null],
  ])('body %s: length %s', async (_name, bytes, length) => {
    expect(await seen(bytes, exchange => exchange.bodyLength)).toBe(length)
  })
})

describe('readBody', () => {
  const read = async (exchange: Exchange): Promise<string> => {
    const body = await exchange.readBody(8)
    if (body.kind === 'whole') return `whole ${body.bytes}`
    const chunks: Buffer[] = []
    for await (const chunk of body.stream) chunks.push(chunk)
    return `stream ${body.length} ${Buffer.concat(chunks)}`
  }

  test.each([
    ['no body', get('/'), 'whole '],
    ['an empty chunked body', post('Transfer-Encoding: chunked', '0\r\n\r\n'), 'whole '],
    ['a body at the limit', post('Content-Length: 8', '12345678'), 'whole 12345678'],
    ['a longer body', post('Content-Length: 9', '123456789'), 'stream 9 123456789'],
    [
      'a chunked body at the limit',
      post('Transfer-Encoding: chunked', '4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n'),
      'whole 12345678',
    ],
    [
      'a longer chunked body',
      post('Transfer-Encoding: chunked', '4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n'),
      'stream null 123456789',
    ],
  ])('%s', async (_name, bytes, expected) => {
    expect(await seen(bytes, read)).toBe(expected)
  })

  test('a long chunked body loses no byte between reading and streaming', async () => {
    const body = Buffer.alloc(300_000, 'farebox ').toString()
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const bytes = await seen(post('Transfer-Encoding: chunked', chunked), async exchange => {
      const begun = await exchange.readBody(1_000)
      if (begun.kind === 'whole') return ''
      await new Promise(resolve => setImmediate(resolve))
      const chunks: Buffer[] = []
      for await (const chunk of begun.stream) chunks.push(chunk)
      return Buffer.concat(chunks).toString()
    })
    expect(bytes).toBe(body)
  })

  test.each([
    ['of known length', 'Content-Length: 100', 'abc'],
    ['in chunks', 'Transfer-Encoding: chunked', '3\r\nabc\r\n'],
  ])('client goes away in a body %s: ClientGoneError', async (_name, header, part) => {
    const failure = Promise.withResolvers<unknown>()
    const begun = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      begun.resolve()
      await exchange.readBody(1_000).catch(error => failure.resolve(error))
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(post(header, part))
    await begun.promise
    client.destroy()
    expect(await failure.promise).toMatchObject({ code: 'client_gone' })
    await server.drain(1_000)
    expect(server.deliveries).toEqual(['aborted'])
  })

  test.each([
    ['of known length', 'Content-Length: 5000', 'x'.repeat(2_000)],
    ['in chunks', 'Transfer-Encoding: chunked', `7d0\r\n${'x'.repeat(2_000)}\r\n`],
  ])('client goes away after the part that was read %s: no crash', async (_name, header, part) => {
    const begun = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      exchange.onClientGone(() => gone.resolve())
      expect((await exchange.readBody(1_000)).kind).toBe('stream')
      begun.resolve()
      // As while a payment is verified: nobody reads, nobody listens.
      await gone.promise
      await new Promise(resolve => setImmediate(resolve))
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(post(header, part))
    await begun.promise
    client.destroy()
    await gone.promise
    await server.drain(1_000)
    expect(server.deliveries).toEqual(['aborted'])
  })

  test('chunked body over the limit: RequestBodyTooLargeError, 413, and the connection ends', async () => {
    const server = await serve(
      async exchange => {
        await exchange.readBody(1_000)
        return textReply('not reached')
      },
      { limits: { bodyBytes: 10 } },
    )
    const client = await server.connect()
    client.send(post('Transfer-Encoding: chunked', 'b\r\n12345678901\r\n'))
    const response = await client.read()
    expect(response.status).toBe(413)
    expect(valuesOf(response, 'connection')).toEqual(['close'])
    await client.closed
  })

  test('chunked body goes over the limit while nobody reads: no crash', async () => {
    const server = await serve(
      async exchange => {
        expect((await exchange.readBody(10)).kind).toBe('stream')
        for (let count = 0; count < 5; count++) await new Promise(resolve => setImmediate(resolve))
        return textReply('ok')
      },
      { limits: { bodyBytes: 30 } },
    )
    const client = await server.connect()
    client.send(post('Transfer-Encoding: chunked', `14\r\n${'x'.repeat(20)}\r\n`))
    client.send(`14\r\n${'x'.repeat(20)}\r\n`)
    expect((await client.read()).status).toBe(200)
  })
})

describe('client that goes away', () => {
  test('is noticed while we work, once', async () => {
    let calls = 0
    const working = Promise.withResolvers<Exchange>()
    const noticed = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      exchange.onClientGone(() => {
        calls++
        noticed.resolve()
      })
      working.resolve(exchange)
      await noticed.promise
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/'))
    const exchange = await working.promise
    expect(exchange.clientGone).toBe(false)
    client.destroy()
    await noticed.promise
    expect(exchange.clientGone).toBe(true)
    await server.drain(1_000)
    expect({ calls, deliveries: server.deliveries }).toEqual({ calls: 1, deliveries: ['aborted'] })
  })

  test('is not noticed by who no longer asks, nor after a whole response', async () => {
    let calls = 0
    const server = await serve(exchange => {
      exchange.onClientGone(() => calls++)()
      exchange.onClientGone(() => calls++)
      return textReply('ok')
    })
    const client = await server.connect()
    client.send(get('/'))
    await client.read()
    client.destroy()
    await server.drain(1_000)
    expect({ calls, deliveries: server.deliveries }).toEqual({
      calls: 0,
      deliveries: ['delivered'],
    })
  })

  test('who asks too late is told at once', async () => {
    const working = Promise.withResolvers<Exchange>()
    const asked = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      working.resolve(exchange)
      await asked.promise
      return textReply('too late')
    })
    const client = await server.connect()
    client.send(get('/'))
    const exchange = await working.promise
    const gone = new Promise<void>(resolve => exchange.onClientGone(resolve))
    client.destroy()
    await gone
    let calls = 0
    exchange.onClientGone(() => calls++)
    expect(calls).toBe(1)
    asked.resolve()
  })

  test('cancels a body that it will not take', async () => {
    const cancelled = Promise.withResolvers<void>()
    const working = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      exchange.onClientGone(() => gone.resolve())
      working.resolve()
      await gone.promise
      const pipeTo = () => Promise.reject(new Error('Nobody is there.'))
      const body = { pipeTo, cancel: () => cancelled.resolve() }
      return { status: 200, headers: [], body, outcome: 'test' }
    })
    const client = await server.connect()
    client.send(get('/'))
    await working.promise
    client.destroy()
    await cancelled.promise
  })
})

describe('a body that has come as a whole', () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  const forms = (whole: Buffer): [string, Reply['body']][] => [
    ['of its own', whole],
    ['of an upstream', { whole, pipeTo: () => Promise.reject(new Error()), cancel() {} }],
  ]

  test.each([0, 1, 256, 8_192, 8_193, 100_000])('%i bytes arrive as they are', async length => {
    const whole = Buffer.alloc(length, bytes)
    for (const [name, body] of forms(whole)) {
      const headers = ['Content-Length', String(length)]
      const server = await serve(() => ({ status: 200, headers, body, outcome: 'test' }))
      const client = await server.connect()
      client.send(get('/'))
      const response = await client.read()
      expect(response.body.equals(whole), name).toBe(true)
      expect(valuesOf(response, 'content-length')).toEqual([String(length)])
      await expect.poll(() => server.deliveries).toEqual(['delivered'])
    }
  })

  test('goes in chunks when its upstream did not say how long it is', async () => {
    const [, [, body = bytes] = []] = forms(bytes)
    const server = await serve(() => ({ status: 200, headers: [], body, outcome: 'test' }))
    const client = await server.connect()
    client.send(get('/'))
    const response = await client.read()
    expect(valuesOf(response, 'transfer-encoding')).toEqual(['chunked'])
    expect(response.body.equals(bytes)).toBe(true)
  })
})

test('ends with the client’s own end of the connection', async () => {
  const server = await serve(() => textReply('bye'))
  const client = await server.connect()
  client.send(get('/', 'Connection: close\r\n'))
  const response = await client.read()
  expect(valuesOf(response, 'connection')).toEqual(['close'])
  if (!client.socket.destroyed) await once(client.socket, 'close')
})
