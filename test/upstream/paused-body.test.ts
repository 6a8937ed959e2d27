import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { asResponse, collect, requestTo, send, TestSink } from './harness.ts'
import { closeAfterEach, rawUpstreamOf, upstreamOf } from './servers.ts'

closeAfterEach()

/** Lets everything happen that the loop has ready, twice around. */
async function settle(): Promise<void> {
  for (let count = 0; count < 4; count++) await new Promise(resolve => setImmediate(resolve))
}

async function isClosed(socket: Socket | undefined): Promise<void> {
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
}

test('nothing is delivered before pipeTo, and everything after', async () => {
  const [upstream] = await upstreamOf(async (_, response) => {
    response.write('first ')
    response.end('second')
  })
  const { body } = asResponse(await send(upstream, requestTo('/')))
  await settle()
  expect((await collect(body)).bytes.toString()).toBe('first second')
})

test.each([
  ['of known length', 'Content-Length: 9', '0123', '45678'],
  ['in chunks', 'Transfer-Encoding: chunked', '4\r\n0123\r\n', '5\r\n45678\r\n0\r\n\r\n'],
  ['that the connection ends', 'X-Nothing: 1', '0123', '45678'],
])('upstream sends a body %s and closes while we wait: it arrives whole', async (...parts) => {
  const [, header, first, second] = parts
  const [upstream, server] = await rawUpstreamOf(socket => {
    socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n${header}\r\n\r\n${first}`)
    socket.end(second)
  })
  const { body } = asResponse(await send(upstream, requestTo('/')))
  // The upstream has seen that all its bytes and its end have been taken over by the system.
  const [socket] = server.connections
  if (socket !== undefined && !socket.writableFinished) await once(socket, 'finish')
  await settle()
  const { bytes, delivery } = await collect(body)
  expect([bytes.toString(), delivery]).toEqual(['012345678', 'delivered'])
})

test('more than the system buffers, sent with Connection: close, arrives whole', async () => {
  const sent = Buffer.alloc(4 * 1024 * 1024, 'farebox ')
  const [upstream] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
    socket.end(sent)
  })
  const { body } = asResponse(await send(upstream, requestTo('/')))
  await settle()
  const { bytes } = await collect(body)
  expect(bytes.equals(sent)).toBe(true)
})

test.each([
  ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  ['an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
  ['a short body', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok'],
])('upstream with %s closes its idle connection while we wait: it arrives', async (...parts) => {
  const [, answer, expected] = parts
  const [upstream, server] = await rawUpstreamOf(socket => socket.write(answer))
  const { body } = asResponse(await send(upstream, requestTo('/')))
  await settle()
  server.connections[0]?.end()
  await settle()
  const { bytes, delivery } = await collect(body)
  expect([bytes.toString(), delivery]).toEqual([expected, 'delivered'])
})

test.each([
  ['short', 'Content-Length: 5\r\n\r\nwhole', 'whole'],
  ['empty', 'Content-Length: 0\r\n\r\n', ''],
  ['not all there', 'Content-Length: 5\r\n\r\nwhol', null],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n', null],
  ['ended by the connection', '\r\nwhole', null],
])('whether a body that is %s is whole before anybody asks for it', async (...parts) => {
  const [, rest, expected] = parts
  const [upstream] = await rawUpstreamOf(socket => socket.write(`HTTP/1.1 200 OK\r\n${rest}`))
  const { body } = asResponse(await send(upstream, requestTo('/')))
  await settle()
  const whole = body.whole?.toString() ?? null
  body.cancel()
  expect(whole).toBe(expected)
})

test('a body that broke or was cancelled is never whole', async () => {
  const [upstream, server] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'),
  )
  const [broken, cancelled] = [
    asResponse(await send(upstream, requestTo('/1'))).body,
    asResponse(await send(upstream, requestTo('/2'))).body,
  ]
  cancelled.cancel()
  for (const socket of server.connections) socket.resetAndDestroy()
  await Promise.all(server.connections.map(isClosed))
  await settle()
  expect([broken.whole, cancelled.whole]).toEqual([null, null])
})

test('upstream closes its idle connection while the client takes its time: nothing is lost', async () => {
  const [upstream, server] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole'),
  )
  const { body } = asResponse(await send(upstream, requestTo('/')))
  const sink = new TestSink()
  sink.isFull = true
  const arrived = sink.nextChunk()
  const delivery = body.pipeTo(sink)
  await arrived
  server.connections[0]?.end()
  await isClosed(server.connections[0])
  sink.drain()
  expect(await delivery).toBe('delivered')
  expect([sink.isEnded, sink.isDestroyed]).toEqual([true, false])
})

test('upstream breaks while we wait: the client must not see an end', async () => {
  const [upstream, server] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'),
  )
  const { body } = asResponse(await send(upstream, requestTo('/')))
  server.connections[0]?.resetAndDestroy()
  await isClosed(server.connections[0])
  await settle()
  const sink = new TestSink()
  expect(await body.pipeTo(sink)).toBe('aborted')
  expect([sink.isEnded, sink.isDestroyed]).toEqual([false, true])
})

test('cancel ends the upstream’s connection', async () => {
  const [upstream, server] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'),
  )
  const { body } = asResponse(await send(upstream, requestTo('/')))
  body.cancel()
  body.cancel()
  await isClosed(server.connections[0])
})

test('cancel while it flows: aborted, and nothing more is written', async () => {
  const [upstream, server] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\n\r\nabc'),
  )
  const { body } = asResponse(await send(upstream, requestTo('/')))
  const sink = new TestSink()
  const arrived = sink.nextChunk()
  const delivery = body.pipeTo(sink)
  await arrived
  body.cancel()
  expect(await delivery).toBe('aborted')
  server.connections[0]?.write('def')
  await isClosed(server.connections[0])
  expect([sink.bytes.toString(), sink.isEnded]).toEqual(['abc', false])
})

test('pipeTo after cancel: aborted', async () => {
  const [upstream] = await rawUpstreamOf(socket =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'),
  )
  const { body } = asResponse(await send(upstream, requestTo('/')))
  body.cancel()
  const sink = new TestSink()
  expect(await body.pipeTo(sink)).toBe('aborted')
  expect([sink.isEnded, sink.isDestroyed]).toEqual([false, true])
})

test('cancel of a body that is already over leaves the connection in use', async () => {
  const [upstream, server] = await rawUpstreamOf(
    socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    { maxConnections: 1 },
  )
  asResponse(await send(upstream, requestTo('/1'))).body.cancel()
  await collect(asResponse(await send(upstream, requestTo('/2'))).body)
  expect(server.connections).toHaveLength(1)
})

/** An upstream with a long body, and how much of it the system has taken over by now. */
async function longBody() {
  const size = 32 * 1024 * 1024
  let taken = 0
  const [upstream] = await upstreamOf(async (_, response) => {
    const block = Buffer.alloc(64 * 1024, 'x')
    response.writeHead(200, { 'content-length': size })
    while (taken < size && !response.destroyed) {
      taken += block.length
      if (!response.write(block)) await once(response, 'drain').catch(() => {})
    }
    response.end()
  })
  const { body } = asResponse(await send(upstream, requestTo('/')))
  const standsStill = async (): Promise<number> => {
    let before = -1
    while (before !== taken) {
      before = taken
      await settle()
    }
    return taken
  }
  return { body, size, standsStill }
}

test('a full sink holds the upstream until it drains', async () => {
  const { body, size, standsStill } = await longBody()
  const sink = new TestSink()
  sink.isFull = true
  const arrived = sink.nextChunk()
  const delivery = body.pipeTo(sink)
  await arrived
  // What the system's socket buffers hold, and nothing that grows with the body.
  expect(await standsStill()).toBeLessThan(size / 2)
  expect(sink.bytes.length).toBeLessThan(256 * 1024)
  sink.drain()
  expect(await delivery).toBe('delivered')
  expect(sink.bytes.length).toBe(size)
})

test('a body that nobody wants yet holds the upstream, and one read of the socket', async () => {
  const { body, size, standsStill } = await longBody()
  expect(await standsStill()).toBeLessThan(size / 2)
  const sink = new TestSink()
  sink.isFull = true
  const delivery = body.pipeTo(sink)
  // 64 KiB is what Node.js reads at a time.
  expect(sink.bytes.length).toBeLessThanOrEqual(64 * 1024)
  expect(await standsStill()).toBeLessThan(size / 2)
  expect(sink.bytes.length).toBeLessThanOrEqual(64 * 1024)
  sink.drain()
  expect(await delivery).toBe('delivered')
  expect(sink.bytes.length).toBe(size)
})
