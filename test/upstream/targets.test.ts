import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { serveLocally } from '../support/json-server.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { asResponse, collect, requestTo, send, upstreamOver } from './harness.ts'
import { closeAfterEach, keepOpen } from './servers.ts'

closeAfterEach()

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

async function nobodyAt(): Promise<string> {
  const server = await serveLocally(async () => {})
  await server.close()
  return server.url
}

const raw = async (answer: Parameters<typeof startRawUpstream>[0]) =>
  keepOpen(await startRawUpstream(answer))

const outstanding = (upstream: Upstream): number[] =>
  upstream.targets.map(target => target.outstanding)

test('idle targets take turns', async () => {
  const servers = [await raw(s => s.write(OK)), await raw(s => s.write(OK))]
  const upstream = keepOpen(upstreamOver(servers.map(({ url }) => url)))
  for (let count = 0; count < 6; count++) {
    await collect(asResponse(await send(upstream, requestTo('/'))).body)
  }
  expect(servers.map(({ heads }) => heads.length)).toEqual([3, 3])
})

test('a target that is slow gets less', async () => {
  const [slow, quick] = [await raw(() => {}), await raw(s => s.write(OK))]
  const upstream = keepOpen(upstreamOver([slow.url, quick.url]))
  const held = send(upstream, requestTo('/held', { timeoutMs: 1_000 }))
  for (let count = 0; count < 5; count++) {
    await collect(asResponse(await send(upstream, requestTo('/'))).body)
  }
  expect([slow.heads.length, quick.heads.length]).toEqual([1, 5])
  expect(outstanding(upstream)).toEqual([1, 0])
  await held
})

test('what has ended, however it did, is outstanding no more', async () => {
  const body = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'
  const server = await raw((socket, head) => {
    if (head.includes('/reset')) socket.resetAndDestroy()
    else if (head.includes('/cut')) socket.end(body)
    else if (head.includes('/body')) socket.write(body)
    else if (head.includes('/ok')) socket.write(OK)
  })
  const upstream = keepOpen(upstreamOver([server.url, await nobodyAt()]))
  await collect(asResponse(await send(upstream, requestTo('/ok'))).body)
  await collect(asResponse(await send(upstream, requestTo('/ok'))).body)
  await send(upstream, requestTo('/reset'))
  await collect(asResponse(await send(upstream, requestTo('/cut'))).body)
  asResponse(await send(upstream, requestTo('/body'))).body.cancel()
  await send(upstream, requestTo('/silent', { timeoutMs: 50 }))
  await upstream.send(requestTo('/silent'), abort => setImmediate(abort))
  await upstream.send(requestTo('/silent'), abort => abort())
  await expect.poll(() => outstanding(upstream)).toEqual([0, 0])
})

test('no room in any queue: refused, and nothing waits', async () => {
  const server = await raw(() => {})
  const settings = { maxConnections: 2, maxQueue: 1 }
  const upstream = keepOpen(upstreamOver([server.url], settings))
  const held = [1, 2, 3].map(() => send(upstream, requestTo('/', { timeoutMs: 500 })))
  expect(upstream.condition()).toEqual({ kind: 'overloaded' })
  expect(await send(upstream, requestTo('/'))).toEqual({ kind: 'overloaded' })
  await Promise.all(held)
  await expect.poll(() => upstream.condition()).toEqual({ kind: 'ready' })
})

/** Faults of which it is certain that no byte of the request was sent, and others. */
const PLACES = {
  refused: { place: nobodyAt, wasSent: false },
  'no socket': { place: async () => 'unix:/nowhere/api.sock', wasSent: false },
  reset: { place: async () => (await raw(s => s.resetAndDestroy())).url, wasSent: true },
  closed: { place: async () => (await raw(s => s.end())).url, wasSent: true },
  garbage: { place: async () => (await raw(s => s.end('SSH-2.0\r\n\r\n'))).url, wasSent: true },
  silent: { place: async () => (await raw(() => {})).url, wasSent: true },
} as const

const BODIES = [
  { name: 'none', text: '', make: () => null },
  { name: 'bytes', text: 'hello', make: () => Buffer.from('hello') },
  { name: 'stream', text: 'hello', make: () => Readable.from([Buffer.from('hello')]) },
]

/** Keeps the body of every request that it was sent. */
async function recorder(): Promise<{ readonly url: string; readonly bodies: string[] }> {
  const bodies: string[] = []
  const server = await serveLocally(async (request, response) => {
    bodies.push(await text(request))
    response.end('ok')
  })
  return { url: keepOpen(server).url, bodies }
}

const faults = Object.entries(PLACES)
const cases = faults.flatMap(([first, one]) =>
  faults.flatMap(([second, other]) => BODIES.map(body => ({ first, second, body, one, other }))),
)

test.each(cases)(
  '$first, then $second, with body $body.name: at most one copy',
  async ({ body, one, other }) => {
    const good = await recorder()
    const places = [await one.place(), await other.place(), good.url]
    const upstream = keepOpen(upstreamOver(places))
    const timeoutMs = one.wasSent || other.wasSent ? 100 : 2_000
    const request = requestTo('/', { method: 'POST', body: body.make(), timeoutMs })
    const outcome = await send(upstream, request)
    const reachedNobody = !one.wasSent && !other.wasSent
    expect([outcome.kind === 'response', good.bodies]).toEqual(
      reachedNobody ? [true, [body.text]] : [false, []],
    )
    if (outcome.kind === 'response') await collect(outcome.body)
  },
)

test('a body that was begun is not sent to another target', async () => {
  const good = await raw(socket => socket.write(OK))
  const upstream = keepOpen(upstreamOver([await nobodyAt(), good.url]))
  const body = new PassThrough()
  body.write('hello')
  await new Promise<void>(resolve => {
    body.once('data', () => resolve())
  })
  body.pause()
  const outcome = await send(upstream, requestTo('/', { method: 'POST', body }))
  expect(outcome).toMatchObject({ kind: 'unreachable', detail: 'ECONNREFUSED' })
  expect(good.heads).toHaveLength(0)
})

test('every target refuses: the first fault is told, and each was tried once', async () => {
  const upstream = keepOpen(upstreamOver([await nobodyAt(), await nobodyAt()]))
  expect(await send(upstream, requestTo('/'))).toEqual({
    kind: 'unreachable',
    detail: 'ECONNREFUSED',
  })
  expect(outstanding(upstream)).toEqual([0, 0])
})
