import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { RequestBodyTooLargeError } from '../../src/errors.ts'
import { serveLocally } from '../support/json-server.ts'
import { asResponse, collect, requestTo, send, TestSink, upstreamAt } from './harness.ts'
import { closeAfterEach, keepOpen, rawUpstreamOf, upstreamOf } from './servers.ts'

closeAfterEach()

test('refused connection: unreachable', async () => {
  const server = await serveLocally(async () => {})
  await server.close()
  const upstream = keepOpen(upstreamAt(server.url))
  expect(await send(upstream, requestTo('/'))).toEqual({
    kind: 'unreachable',
    detail: 'ECONNREFUSED',
  })
})

test.each([
  ['closed', ''],
  ['closed in the middle of the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['answered with garbage', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
  [
    'answered with two lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
  ],
  [
    'answered with an unasked upgrade',
    'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
  [
    'answered with more header bytes than we take',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`,
  ],
])('connection %s before a whole head: unreachable', async (_name, bytes) => {
  const [upstream, server] = await rawUpstreamOf(socket => socket.end(bytes))
  const outcome = await send(upstream, requestTo('/'))
  expect(outcome).toMatchObject({ kind: 'unreachable' })
  expect(server.heads).toHaveLength(1)
})

test('connection reset before the head: unreachable, and sent only once', async () => {
  const [upstream, server] = await rawUpstreamOf(socket => socket.resetAndDestroy())
  expect(await send(upstream, requestTo('/'))).toMatchObject({ kind: 'unreachable' })
  expect(server.heads).toHaveLength(1)
})

test('kept-alive connection dies under the second request: it is not sent again', async () => {
  let answered = 0
  const [upstream, server] = await rawUpstreamOf(
    socket => {
      if (answered++ === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      else socket.destroy()
    },
    { maxConnections: 1 },
  )
  await collect(asResponse(await send(upstream, requestTo('/1'))).body)
  expect(await send(upstream, requestTo('/2'))).toMatchObject({ kind: 'unreachable' })
  expect(server.heads.map(head => head.split(' ')[1])).toEqual(['/1', '/2'])
  expect(server.connections).toHaveLength(1)
})

test.each([
  ['of known length', 'Content-Length: 100\r\n\r\nabc'],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ['in chunks, cut at a chunk that lies', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n'],
])('body %s dies in the middle: the client must not see an end', async (_name, rest) => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.end(`HTTP/1.1 200 OK\r\n${rest}`)
  })
  const sink = new TestSink()
  const delivery = await asResponse(await send(upstream, requestTo('/'))).body.pipeTo(sink)
  expect({ delivery, ended: sink.isEnded, destroyed: sink.isDestroyed }).toEqual({
    delivery: 'aborted',
    ended: false,
    destroyed: true,
  })
  expect(sink.bytes.toString()).toBe('abc')
})

test('body reset while it flows: the client must not see an end', async () => {
  const [upstream, server] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nabc')
  })
  const sink = new TestSink()
  const arrived = sink.nextChunk()
  const delivery = asResponse(await send(upstream, requestTo('/'))).body.pipeTo(sink)
  await arrived
  server.connections[0]?.resetAndDestroy()
  expect(await delivery).toBe('aborted')
  expect([sink.isEnded, sink.isDestroyed]).toEqual([false, true])
})

test('no head in time: timeout, and the upstream hears that nobody waits', async () => {
  const [upstream, server] = await rawUpstreamOf(() => {})
  const outcome = await send(upstream, requestTo('/', { timeoutMs: 100 }))
  expect(outcome).toEqual({ kind: 'timeout' })
  const [socket] = server.connections
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
})

test('1xx responses without end: timeout', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20)
    socket.on('close', () => clearInterval(timer))
  })
  expect(await send(upstream, requestTo('/', { timeoutMs: 150 }))).toEqual({ kind: 'timeout' })
})

test('every connection busy for too long: timeout, and nothing is sent', async () => {
  const [upstream, server] = await rawUpstreamOf(() => {}, { maxConnections: 1 })
  const first = send(upstream, requestTo('/first', { timeoutMs: 300 }))
  expect(await send(upstream, requestTo('/second', { timeoutMs: 100 }))).toEqual({
    kind: 'timeout',
  })
  await first
  expect(server.heads.map(head => head.split(' ')[1])).toEqual(['/first'])
})

test('time-out ends with the head: a slow body is not cut', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab')
    setTimeout(() => socket.write('cd'), 1_200)
  })
  const response = asResponse(await send(upstream, requestTo('/', { timeoutMs: 1_000 })))
  expect((await collect(response.body)).bytes.toString()).toBe('abcd')
})

test.each([
  ['header value', { rawHeaders: ['X-A', 'a\r\nX-B: b'] }],
  ['header name', { rawHeaders: ['X A', 'a'] }],
  ['target', { target: '/a b' }],
  ['method', { method: 'GE T' }],
])('a %s that cannot be sent: an outcome, and the connections stay good', async (_name, bad) => {
  const [upstream] = await upstreamOf(async (_, response) => void response.end('ok'), {
    maxConnections: 1,
  })
  for (let count = 0; count < 3; count++) {
    expect(await send(upstream, requestTo('/', bad))).toMatchObject({ kind: 'unreachable' })
  }
  const response = asResponse(await send(upstream, requestTo('/')))
  expect((await collect(response.body)).bytes.toString()).toBe('ok')
})

test('more requests than may wait for a connection: refused at once', async () => {
  const [upstream] = await rawUpstreamOf(() => {}, { maxConnections: 1 })
  const timeoutMs = 1_000
  const sent = Array.from({ length: 1_100 }, () => send(upstream, requestTo('/', { timeoutMs })))
  const outcome = await Promise.race(sent)
  expect(outcome).toEqual({ kind: 'overloaded' })
  const kinds = (await Promise.all(sent)).map(({ kind }) => kind)
  expect(kinds.filter(kind => kind === 'timeout').length).toBeGreaterThan(1_000)
})

test('a closed upstream takes nothing more', async () => {
  const [upstream] = await upstreamOf(async (_, response) => void response.end('ok'))
  await collect(asResponse(await send(upstream, requestTo('/'))).body)
  await upstream.close()
  expect(await send(upstream, requestTo('/'))).toMatchObject({ kind: 'unreachable' })
})

test('close waits for what runs', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
    setTimeout(() => socket.write('k'), 50)
  })
  const response = asResponse(await send(upstream, requestTo('/')))
  const closed = upstream.close()
  expect((await collect(response.body)).bytes.toString()).toBe('ok')
  await closed
})

test('request body over the limit: body-too-large', async () => {
  const [upstream] = await rawUpstreamOf(() => {})
  const body = new PassThrough()
  const outcome = send(upstream, requestTo('/', { method: 'POST', body }))
  body.write('begin')
  body.destroy(new RequestBodyTooLargeError(4))
  expect(await outcome).toEqual({ kind: 'body-too-large' })
})

test.each([
  ['with an error', new Error('aborted')],
  ['without one', undefined],
])('request body ends early %s: aborted, for the client broke it off', async (_name, error) => {
  const [upstream, server] = await rawUpstreamOf(() => {})
  const body = new PassThrough()
  const outcome = send(upstream, requestTo('/', { method: 'POST', body }))
  body.write('begin')
  body.destroy(error)
  expect(await outcome).toEqual({ kind: 'aborted' })
  const [socket] = server.connections
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
})

test('request body that broke before it was its turn: aborted', async () => {
  const [upstream] = await rawUpstreamOf(() => {})
  const body = new PassThrough()
  body.on('error', () => {})
  body.destroy(new Error('aborted'))
  await new Promise(resolve => body.once('close', resolve))
  const outcome = await send(upstream, requestTo('/', { method: 'POST', body }))
  expect(outcome).toEqual({ kind: 'aborted' })
})

test('response before the request body is whole: handed over, and the rest is not sent', async () => {
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!')
  })
  const body = new PassThrough()
  body.write('begin')
  const response = asResponse(await send(upstream, requestTo('/', { method: 'POST', body })))
  expect(response.status).toBe(413)
  expect((await collect(response.body)).bytes.toString()).toBe('no!')
  if (!body.destroyed) await once(body, 'close')
})
