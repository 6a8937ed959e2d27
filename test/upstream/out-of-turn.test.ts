import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { asResponse, collect, requestTo, send } from './harness.ts'
import { closeAfterEach, rawUpstreamOf } from './servers.ts'

closeAfterEach()

const answer = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/**
 * An answer that nobody asked for must not become the next request's: its client would get, and may
 * have paid for, what was meant for somebody else. The connection that it came on is not used again.
 */
test.each<[string, (socket: Socket) => void]>([
  ['in one packet with the answer', socket => socket.write(answer('own') + answer('stray'))],
  [
    'right behind the answer',
    socket => {
      socket.write(answer('own'))
      setImmediate(() => socket.write(answer('stray')))
    },
  ],
  ['as the beginning of one', socket => socket.write(`${answer('own')}HTTP/1.1 200 OK\r\nX:`)],
  ['as an interim answer', socket => socket.write(`${answer('own')}HTTP/1.1 103 Hints\r\n\r\n`)],
  ['as bytes that are no HTTP', socket => socket.write(`${answer('own')}\0\0`)],
  ['as a body of a 204', socket => socket.write(`HTTP/1.1 204 None\r\n\r\n${answer('stray')}`)],
])('a second answer %s is nobody’s', async (_name, misbehave) => {
  const [upstream, server] = await rawUpstreamOf(
    socket => {
      if (server.heads.length === 1) misbehave(socket)
      else socket.write(answer('own'))
    },
    { maxConnections: 1 },
  )
  await collect(asResponse(await send(upstream, requestTo('/1'))).body)
  await expect.poll(() => server.connections[0]?.destroyed).toBe(true)
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('own')
  expect(server.connections).toHaveLength(2)
})

test('an answer to HEAD with a body: the body is nobody’s', async () => {
  const [upstream, server] = await rawUpstreamOf(
    (socket, head) => void socket.write(answer(head.startsWith('HEAD') ? answer('x') : 'own')),
    { maxConnections: 1 },
  )
  await collect(asResponse(await send(upstream, requestTo('/1', { method: 'HEAD' }))).body)
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('own')
  expect(server.connections).toHaveLength(2)
})

test.each([
  ['in chunks', []],
  ['of known length', ['Content-Length', '10']],
])('an answer before its request is whole (%s) ends the connection', async (_name, rawHeaders) => {
  const [upstream, server] = await rawUpstreamOf(socket => void socket.write(answer('early')), {
    maxConnections: 1,
  })
  const body = new PassThrough()
  body.on('error', () => {})
  body.write('begin')
  const request = requestTo('/1', { method: 'POST', body, rawHeaders })
  const first = asResponse(await send(upstream, request))
  expect((await collect(first.body)).bytes.toString()).toBe('early')
  await expect.poll(() => server.connections[0]?.destroyed).toBe(true)
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('early')
  expect(server.connections).toHaveLength(2)
  expect(server.heads.map(head => head.split(' ')[1])).toEqual(['/1', '/2'])
})

test('an answer to an aborted request is nobody’s', async () => {
  const [upstream, server] = await rawUpstreamOf(
    socket => {
      if (server.heads.length > 1) socket.write(answer('own'))
    },
    { maxConnections: 1 },
  )
  const first = upstream.send(requestTo('/1'), abort => {
    void expect
      .poll(() => server.heads.length)
      .toBe(1)
      .then(abort)
  })
  expect(await first).toEqual({ kind: 'aborted' })
  server.connections[0]?.write(answer('late'))
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('own')
  expect(server.connections).toHaveLength(2)
})

test('the rest of an answer that was given up, and one behind it, are nobody’s', async () => {
  const [upstream, server] = await rawUpstreamOf(
    socket => {
      const isFirst = server.heads.length === 1
      socket.write(isFirst ? 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin' : answer('own'))
    },
    { maxConnections: 1 },
  )
  const first = asResponse(await send(upstream, requestTo('/1')))
  first.body.cancel()
  server.connections[0]?.write(`-rest${answer('late')}`)
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('own')
  await expect.poll(() => server.connections[0]?.destroyed).toBe(true)
  expect(server.connections).toHaveLength(2)
})

test('an answer on a connection that waits for its next request is nobody’s', async () => {
  const [upstream, server] = await rawUpstreamOf(socket => void socket.write(answer('own')), {
    maxConnections: 1,
  })
  await collect(asResponse(await send(upstream, requestTo('/1'))).body)
  expect(server.connections[0]?.destroyed).toBe(false)
  server.connections[0]?.write(answer('stray'))
  await expect.poll(() => server.connections[0]?.destroyed).toBe(true)
  const second = asResponse(await send(upstream, requestTo('/2')))
  expect((await collect(second.body)).bytes.toString()).toBe('own')
  expect(server.connections).toHaveLength(2)
})
