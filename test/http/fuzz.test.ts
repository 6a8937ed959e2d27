import { once } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { serveLocally } from '../support/json-server.ts'
import { connectRaw, valuesOf } from '../support/raw-client.ts'
import { get, onStop, serve, serveUpstream, stopAfterEach, textReply } from './harness.ts'

stopAfterEach()

const anyBytes = fc
  .uint8Array({ maxLength: 64 })
  .map(bytes => Buffer.from(bytes).toString('latin1'))

/** What requests are made of, so that fuzzing gets past the first line. */
const piece = fc.oneof(
  anyBytes,
  fc.constantFrom(
    ...['GET / HTTP/1.1\r\n', 'POST /a HTTP/1.1\r\n', 'HEAD * HTTP/1.0\r\n', 'PRI * HTTP/2.0\r\n'],
    ...['CONNECT a:1 HTTP/1.1\r\n', 'OPTIONS http://a/ HTTP/1.1\r\n', 'GET  / HTTP/1.1\n'],
    ...['Host: a\r\n', 'Host: b\r\n', 'Expect: 100-continue\r\n', 'Expect: x\r\n', 'X: \xff\r\n'],
    ...['Content-Length: 5\r\n', 'Content-Length: 99999999999\r\n', 'Content-Length: -1\r\n'],
    ...['Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: x, chunked\r\n', 'Upgrade: h2c\r\n'],
    ...['Connection: close\r\n', 'Connection: Upgrade, HTTP2-Settings\r\n', 'TE: chunked\r\n'],
    ...[
      '\r\n',
      '\r\n\r\n',
      '\n',
      '\r',
      '\0',
      'hello',
      '5\r\nhello\r\n',
      '0\r\n\r\n',
      'fffffffff\r\n',
    ],
    ...['5;a=b\r\nhello\r\n', '0\r\nX-Trailer: 1\r\n\r\n', ': x\r\n', ' folded\r\n'],
  ),
)

test('whatever bytes come, there is an answer or an end, and the server lives on', async () => {
  const server = await serve(async exchange => {
    const body = await exchange.readBody(8)
    if (body.kind === 'whole') return textReply(`${exchange.host} ${body.bytes.length}`)
    for await (const _ of body.stream);
    return textReply('stream')
  })
  const run = async (pieces: string[]) => {
    const client = await connectRaw(server.url)
    client.send(pieces.join(''))
    client.socket.end()
    const answer = (await client.readToEnd()).toString('latin1')
    expect(answer).toMatch(/^(HTTP\/1\.1 \d{3} |$)/)
    await client.closed
  }
  const pieces = fc.array(piece, { minLength: 1, maxLength: 12 })
  await fc.assert(fc.asyncProperty(pieces, run), { numRuns: 600 })
  const client = await server.connect()
  client.send(get('/'))
  expect((await client.read()).body.toString()).toBe('example.com 0')
  await server.drain(2_000)
  expect(server.inFlight).toBe(0)
})

test('bytes that come one at a time mean what they mean at once', async () => {
  const server = await serve(async exchange => {
    const body = await exchange.readBody(100)
    return textReply(body.kind === 'whole' ? `${exchange.rawTarget} ${body.bytes}` : '')
  })
  const client = await server.connect()
  const bytes =
    'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'
  for (const byte of bytes) {
    client.send(byte)
    if (client.socket.writableNeedDrain) await once(client.socket, 'drain')
    await new Promise(resolve => setImmediate(resolve))
  }
  expect((await client.read()).body.toString()).toBe('/a hi')
})

const tokenLetters = "!#$%&'*+-.^_`|~0189abyzABYZ"
const name = fc.oneof(
  fc.string({ unit: fc.constantFrom(...tokenLetters), minLength: 1, maxLength: 12 }),
  fc.constantFrom('content-type', 'content-length', 'transfer-encoding', 'trailer', 'connection'),
  fc.constantFrom('keep-alive', 'upgrade', 'expect', 'te', 'proxy-connection', '__proto__', 'Date'),
)
const valueLetters = fc.oneof(
  fc.integer({ min: 0x20, max: 0x7e }),
  fc.integer({ min: 0x80, max: 0xff }),
)
const value = fc.oneof(
  fc.string({ unit: valueLetters.map(code => String.fromCharCode(code)), maxLength: 24 }),
  fc.constantFrom('close', 'keep-alive', 'x-a, content-length', 'chunked', '0', '5', '', '\t'),
)
const method = fc.constantFrom(
  'GET',
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'M-SEARCH',
  'QUERY',
)
const target = fc
  .string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)) })
  .map(text => `/${text}`)

/** A body as the headers announce it, so that no request waits for the rest of one. */
function bodyFor(headers: readonly [string, string][]): string {
  const lastOf = (name: string): string =>
    headers.findLast(([header]) => header.toLowerCase() === name)?.[1].trim() ?? ''
  if (/chunked$/i.test(lastOf('transfer-encoding'))) return '0\r\n\r\n'
  const length = lastOf('content-length')
  if (!/^\d+$/.test(length)) return ''
  fc.pre(Number(length) < 100_000)
  return 'x'.repeat(Number(length))
}

test('whatever the server lets in can be sent on, and its answer sent back', async () => {
  const upstream = await serveLocally(async (request, response) => {
    for await (const _ of request);
    // Back goes what came, as far as it may stand in a response.
    const echoed = request.rawHeaders.filter(
      (_, index) =>
        !/^(content-length|transfer-encoding|trailer|connection)$/i.test(
          request.rawHeaders[index - (index % 2)] ?? '',
        ),
    )
    response.writeHead(200, echoed)
    response.end('ok')
  })
  onStop(() => upstream.close())
  const server = await serveUpstream(upstream.url, { upstream: { maxConnections: 2 } })
  const run = async (line: string, headers: [string, string][]) => {
    const client = await connectRaw(server.url)
    const fields = headers.map(([header, text]) => `${header}: ${text}\r\n`).join('')
    client.send(`${line} HTTP/1.1\r\nHost: a\r\n${fields}\r\n${bodyFor(headers)}`)
    let { status, ...head } = await client.readHead()
    if (status === 100) ({ status, ...head } = await client.readHead())
    expect([200, 400, 417]).toContain(status)
    if (status === 400) expect(valuesOf(head, 'content-type')).toEqual(['application/problem+json'])
    client.destroy()
  }
  const line = fc.tuple(method, target).map(words => words.join(' '))
  const headers = fc.array(fc.tuple(name, value), { maxLength: 6 })
  await fc.assert(fc.asyncProperty(line, headers, run), { numRuns: 500, timeout: 2_000 })
})
