import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { Upstream, UpstreamOutcome, UpstreamRequest } from '../../src/upstream/upstream.ts'
import { asResponse, collect, requestTo, send, TestSink } from './harness.ts'
import { closeAfterEach, rawUpstreamOf, upstreamOf } from './servers.ts'

closeAfterEach()

function sendAbortable(
  upstream: Upstream,
  request: UpstreamRequest,
): { outcome: Promise<UpstreamOutcome>; abort: () => void } {
  let abort = () => {}
  const outcome = upstream.send(request, callback => {
    abort = callback
  })
  return { outcome, abort: () => abort() }
}

test('abort during the upstream’s work: it hears of it', async () => {
  const asked = Promise.withResolvers<void>()
  const [upstream, server] = await rawUpstreamOf(() => asked.resolve())
  const { outcome, abort } = sendAbortable(upstream, requestTo('/'))
  await asked.promise
  abort()
  expect(await outcome).toEqual({ kind: 'aborted' })
  const [socket] = server.connections
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
})

test('abort before the request could leave: aborted, and nothing is sent', async () => {
  const [upstream, server] = await rawUpstreamOf(() => {})
  const { outcome, abort } = sendAbortable(upstream, requestTo('/'))
  abort()
  expect(await outcome).toEqual({ kind: 'aborted' })
  expect(server.heads).toHaveLength(0)
})

test('abort in the very moment of sending: aborted, and nothing is sent', async () => {
  const [upstream, server] = await rawUpstreamOf(() => {})
  const outcome = await upstream.send(requestTo('/'), abort => abort())
  expect(outcome).toEqual({ kind: 'aborted' })
  expect(server.heads).toHaveLength(0)
})

test('abort while waiting for a connection: the one that runs keeps its connection', async () => {
  const release = Promise.withResolvers<void>()
  const [upstream, server] = await rawUpstreamOf(
    socket => {
      void release.promise.then(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    },
    { maxConnections: 1 },
  )
  const first = send(upstream, requestTo('/first'))
  const waiting = Array.from({ length: 5 }, () => sendAbortable(upstream, requestTo('/waiting')))
  const last = send(upstream, requestTo('/last'))
  for (const { abort } of waiting) abort()
  for (const { outcome } of waiting) expect(await outcome).toEqual({ kind: 'aborted' })
  release.resolve()
  await collect(asResponse(await first).body)
  await collect(asResponse(await last).body)
  expect(server.heads.map(head => head.split(' ')[1])).toEqual(['/first', '/last'])
  expect(server.connections).toHaveLength(1)
})

test('abort of an upload: the upstream’s connection ends', async () => {
  const begun = Promise.withResolvers<void>()
  const [upstream, server] = await rawUpstreamOf(() => begun.resolve())
  const body = new PassThrough()
  const request = requestTo('/', { method: 'POST', body })
  const { outcome, abort } = sendAbortable(upstream, request)
  body.write('begin')
  await begun.promise
  abort()
  expect(await outcome).toEqual({ kind: 'aborted' })
  const [socket] = server.connections
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
  expect(body.destroyed).toBe(true)
})

test('abort after the head: the body ends as aborted', async () => {
  const [upstream, server] = await rawUpstreamOf(socket => {
    socket.write('HTTP/1.1 200 OK\r\n\r\nabc')
  })
  const { outcome, abort } = sendAbortable(upstream, requestTo('/'))
  const { body } = asResponse(await outcome)
  const sink = new TestSink()
  const arrived = sink.nextChunk()
  const delivery = body.pipeTo(sink)
  await arrived
  abort()
  expect(await delivery).toBe('aborted')
  expect(sink.isDestroyed).toBe(true)
  const [socket] = server.connections
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close')
})

test('abort after everything has ended changes nothing', async () => {
  const [upstream, server] = await upstreamOf(async (_, response) => void response.end('ok'), {
    maxConnections: 1,
  })
  const { outcome, abort } = sendAbortable(upstream, requestTo('/'))
  expect(await collect(asResponse(await outcome).body)).toMatchObject({ delivery: 'delivered' })
  abort()
  expect(server.url).toMatch(/^http/)
  expect(
    (await collect(asResponse(await send(upstream, requestTo('/'))).body)).bytes.toString(),
  ).toBe('ok')
})
