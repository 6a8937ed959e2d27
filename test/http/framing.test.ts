import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHostList } from '../../src/http/allowed-hosts.ts'
import { HEADERS_MAX, readHead } from '../../src/http/framing.ts'
import { get, post, serve, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

function read(rawHeaders: string[], method = 'POST', httpVersion = '1.1') {
  return readHead({ method, httpVersion, rawHeaders: ['Host', 'a', ...rawHeaders] })
}

describe('what node:http would refuse before us', () => {
  test.each([
    ['two lengths', ['Content-Length', '1', 'content-length', '1'], 'content-length'],
    [
      'a length after chunks',
      ['Transfer-Encoding', 'chunked', 'Content-Length', '1'],
      'content-length',
    ],
    [
      'chunks after a length',
      ['Content-Length', '1', 'Transfer-Encoding', 'chunked'],
      'transfer-encoding',
    ],
    [
      'chunks twice',
      ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
      'transfer-encoding',
    ],
    ['a signed length', ['Content-Length', '+1'], 'content-length'],
    ['a list of lengths', ['Content-Length', '1, 1'], 'content-length'],
  ])('%s: refused here as well', (_name, headers, detail) => {
    expect(read(headers).flaw).toEqual({ code: 'malformed_request', detail })
  })
})

test('as many headers as the limit are read, and not one more', () => {
  const headers = Array.from({ length: HEADERS_MAX - 1 }, () => ['x', '1']).flat()
  expect(read(headers).flaw).toBeNull()
  expect(read([...headers, 'x', '1']).flaw).toMatchObject({ code: 'too_many_headers' })
})

const field = fc.constantFrom(
  'Content-Length',
  'TRANSFER-ENCODING',
  'host',
  'Connection',
  'Expect',
  'X-A',
)
const value = fc.oneof(
  fc.constantFrom(
    '0',
    '3',
    '03',
    'chunked',
    'CHUNKED',
    'gzip, chunked',
    'close',
    'upgrade',
    'a',
    '',
  ),
  fc.constantFrom('100-continue', 'x', '9007199254740993', 'close, content-length', 'keep-alive'),
  fc.string({ maxLength: 8 }),
)

test('property: a head without a flaw says one host and one length that all can count', () => {
  const run = (method: string, version: string, headers: [string, string][]) => {
    const { flaw, host, bodyLength, isLast } = readHead({
      method,
      httpVersion: version,
      rawHeaders: headers.flat(),
    })
    if (flaw !== null) {
      expect({ host, isLast }).toEqual({ host: null, isLast: true })
      return
    }
    const named = (name: string) => headers.filter(([sent]) => sent.toLowerCase() === name)
    const [lengths, codings] = [named('content-length'), named('transfer-encoding')]
    expect(lengths.length + codings.length).toBeLessThanOrEqual(1)
    expect(named('host').map(([, sent]) => sent)).toEqual(host === null ? [] : [host])
    expect(bodyLength).toBe(codings.length === 1 ? null : Number(lengths[0]?.[1] ?? 0))
    expect(bodyLength === null || String(bodyLength) === (lengths[0]?.[1] ?? '0')).toBe(true)
  }
  const method = fc.constantFrom('GET', 'POST', 'DELETE', 'QUERY')
  const headers = fc.array(fc.tuple(field, value), { maxLength: 5 })
  const version = fc.constantFrom('1.1', '1.0', '0.9', '2.0')
  fc.assert(fc.property(method, version, headers, run), { numRuns: 5_000 })
})

describe('hosts', () => {
  const allows = createHostList(['api.example.com', '[::1]'])

  test.each(['api.example.com', 'API.Example.com', 'api.example.com:8402', '[::1]', '[::1]:80'])(
    '%s is one of them',
    host => expect(allows(host)).toBe(true),
  )

  test.each(['example.com', 'x.api.example.com', 'api.example.com.evil.test', '[::2]', '::1', ''])(
    '%s is none of them',
    host => expect(allows(host)).toBe(false),
  )

  test('null: every one is', () => {
    expect(createHostList(null)('anything')).toBe(true)
  })

  test('count as a trusted proxy says them', async () => {
    const settings = { hosts: ['public.example'], trustedProxies: ['127.0.0.1'] }
    const server = await serve(exchange => textReply(exchange.flaw?.code ?? 'fine'), settings)
    const client = await server.connect()
    client.send(get('/', 'X-Forwarded-Host: public.example\r\n'))
    expect((await client.read()).body.toString()).toBe('fine')
    client.send(get('/'))
    expect((await client.read()).body.toString()).toBe('misdirected_request')
  })
})

describe('what follows a request that is the last of its connection', () => {
  test.each([
    ['a refused one', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n')],
    ['an upgrade', get('/', 'Connection: Upgrade\r\nUpgrade: x\r\n')],
  ])('is no request: %s', async (_name, bytes) => {
    const targets: string[] = []
    const begun = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const server = await serve(async exchange => {
      targets.push(exchange.rawTarget)
      begun.resolve()
      await answer.promise
      return textReply('last')
    })
    const client = await server.connect()
    client.send(bytes)
    await begun.promise
    client.send(get('/hidden').repeat(3))
    // Once it has been read, the connection is known to wait for nothing but its answer.
    await expect.poll(() => client.socket.writableLength).toBe(0)
    answer.resolve()
    expect((await client.read()).body.toString()).toBe('last')
    expect((await client.readToEnd()).toString()).toBe('')
    expect(targets).toEqual(['/'])
  })
})
