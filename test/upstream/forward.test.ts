import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { asResponse, collect, requestTo, send, TestSink, valuesIn } from './harness.ts'
import { closeAfterEach, rawUpstreamOf, upstreamOf } from './servers.ts'

closeAfterEach()

async function readAll(request: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('sends method, target and headers, and hands the response back', async () => {
  const [upstream] = await upstreamOf(async (request, response) => {
    response.writeHead(201, { 'x-seen': `${request.method} ${request.url}` })
    response.end(`agent ${request.headers['user-agent']}`)
  })
  const request = requestTo('/a/b?c=%20d', {
    method: 'DELETE',
    rawHeaders: ['User-Agent', 'curl/8'],
  })
  const response = asResponse(await send(upstream, request))
  expect(response.status).toBe(201)
  expect(valuesIn(response.headers, 'x-seen')).toEqual(['DELETE /a/b?c=%20d'])
  const body = await collect(response.body)
  expect(body).toMatchObject({ delivery: 'delivered', trailers: [] })
  expect(body.bytes.toString()).toBe('agent curl/8')
})

test.each([
  ['', '/x'],
  ['/', '/x'],
  ['/api/v2', '/api/v2/x'],
  ['/api/v2/', '/api/v2/x'],
])('puts the base path %j before the target', async (path, expected) => {
  const [upstream] = await upstreamOf(
    async (request, response) => {
      response.end(request.url)
    },
    { path },
  )
  const response = asResponse(await send(upstream, requestTo('/x')))
  expect((await collect(response.body)).bytes.toString()).toBe(expected)
})

test.each([
  ['bytes', Buffer.from('hello'), 'content-length: 5'],
  ['a stream of known length', Readable.from([Buffer.from('hel'), Buffer.from('lo')]), '5'],
  ['a stream of unknown length', Readable.from([Buffer.from('hello')]), 'chunked'],
])('sends %s as a body', async (kind, body, framing) => {
  const [upstream] = await upstreamOf(async (request, response) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
    response.setHeader('x-framing', `content-length: ${length}, ${encoding}`)
    response.end(await readAll(request))
  })
  const rawHeaders = kind.includes('unknown') ? [] : ['Content-Length', '5']
  const request = requestTo('/', { method: 'POST', body, rawHeaders })
  const response = asResponse(await send(upstream, request))
  expect(valuesIn(response.headers, 'x-framing')[0]).toContain(framing)
  expect((await collect(response.body)).bytes.toString()).toBe('hello')
})

test('sends an empty body as an empty body', async () => {
  const [upstream] = await upstreamOf(async (request, response) => {
    response.end(`${request.headers['content-length']} ${(await readAll(request)).length}`)
  })
  const rawHeaders = ['Content-Length', '0']
  const response = asResponse(await send(upstream, requestTo('/', { method: 'POST', rawHeaders })))
  expect((await collect(response.body)).bytes.toString()).toBe('0 0')
})

test.each([
  ['HEAD', 200, ['Content-Length', '1234']],
  ['GET', 204, []],
  ['GET', 304, ['ETag', '"v1"', 'Content-Length', '1234']],
  ['GET', 200, ['Content-Length', '0']],
])('%s answered with %i has no body', async (method, status, headers) => {
  const [upstream] = await upstreamOf(async (_request, response) => {
    response.writeHead(status, headers)
    response.end()
  })
  const response = asResponse(await send(upstream, requestTo('/', { method })))
  expect(response.status).toBe(status)
  for (let index = 0; index < headers.length; index += 2) {
    const name = (headers[index] ?? '').toLowerCase()
    expect(valuesIn(response.headers, name)).toEqual([headers[index + 1]])
  }
  const { bytes, delivery } = await collect(response.body)
  expect({ length: bytes.length, delivery }).toEqual({ length: 0, delivery: 'delivered' })
})

test('keeps every Set-Cookie, in order', async () => {
  const [upstream] = await upstreamOf(async (_request, response) => {
    response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2, c', 'Set-Cookie', 'a=3'])
    response.end()
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  expect(valuesIn(response.headers, 'set-cookie')).toEqual(['a=1', 'b=2, c', 'a=3'])
  await collect(response.body)
})

test('keeps header bytes beyond ASCII, both ways', async () => {
  const utf8 = Buffer.from('naïve €').toString('latin1')
  const [upstream, server] = await rawUpstreamOf(socket => {
    socket.write(Buffer.from(`HTTP/1.1 200 OK\r\nX-Name: ${utf8} \xe9\r\n\r\n`, 'latin1'))
    socket.end()
  })
  const rawHeaders = ['X-Name', `${utf8} \xff`]
  const response = asResponse(await send(upstream, requestTo('/', { rawHeaders })))
  expect(valuesIn(response.headers, 'x-name')).toEqual([`${utf8} \xe9`])
  expect(server.heads[0]).toContain(`X-Name: ${utf8} \xff\r\n`)
  await collect(response.body)
})

test('hands over compressed bytes as they are', async () => {
  const notReallyGzip = Buffer.from([0x1f, 0x8b, 0, 255, 1, 2, 3])
  const [upstream] = await upstreamOf(async (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' })
    response.end(notReallyGzip)
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  expect(valuesIn(response.headers, 'content-encoding')).toEqual(['gzip'])
  expect((await collect(response.body)).bytes).toEqual(notReallyGzip)
})

test('hands over trailers, filtered as headers are', async () => {
  const [upstream] = await upstreamOf(async (_request, response) => {
    response.writeHead(200, { trailer: 'X-Checksum' })
    response.write('data')
    response.addTrailers([
      ['X-Checksum', 'abc'],
      ['Payment-Response', 'forged'],
    ])
    response.end()
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  expect(await collect(response.body)).toMatchObject({ trailers: ['X-Checksum', 'abc'] })
})

test('takes no notice of 1xx responses before the real one', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  expect(response.status).toBe(200)
  expect(valuesIn(response.headers, 'link')).toEqual([])
  expect((await collect(response.body)).bytes.toString()).toBe('ok')
})

test('hands over a body that only the end of the connection ends', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nuntil ')
    socket.end('the end')
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  const { bytes, delivery } = await collect(response.body)
  expect([bytes.toString(), delivery]).toEqual(['until the end', 'delivered'])
})

test('passes server-sent events on one by one, as they come', async () => {
  const writeNext = Promise.withResolvers<(event: string) => void>()
  const [upstream] = await upstreamOf(async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    writeNext.resolve(event => response.write(event))
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  const sink = new TestSink()
  void response.body.pipeTo(sink)
  const write = await writeNext.promise
  for (const event of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
    const arrived = sink.nextChunk()
    write(event)
    expect((await arrived).toString()).toBe(event)
  }
})
