import { once } from 'node:events'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Upstream, UpstreamOutcome } from '../../src/upstream/upstream.ts'
import { ACK, END_HEADERS, END_STREAM, FRAME, frame, RawHttp2 } from '../support/http2-client.ts'
import { RawClient } from '../support/raw-client.ts'
import { asResponse, collect, requestTo, send, upstreamAt, upstreamOver } from './harness.ts'
import { closeAfterEach, keepOpen } from './servers.ts'

closeAfterEach()

/** NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM and ENHANCE_YOUR_CALM (RFC 9113 section 7). */
const [NONE, BROKEN, REFUSED, CALM] = [0, 1, 7, 11]

/** A server that speaks HTTP/2 in frames: what it does with each head that comes. */
async function openRaw(
  answer: (connection: RawHttp2, head: { stream: number; count: number }) => void,
): Promise<string> {
  const serve = async (socket: Socket): Promise<void> => {
    const client = new RawClient(socket)
    const connection = new RawHttp2(client)
    await client.readBytes('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length)
    connection.send(
      frame(FRAME.settings, 0, 0, Buffer.alloc(0)),
      frame(FRAME.settings, ACK, 0, Buffer.alloc(0)),
    )
    for (let count = 1; ; count++) {
      const { stream } = await connection.until(FRAME.headers)
      answer(connection, { stream, count })
    }
  }
  const server = createNetServer(socket => {
    keepOpen({ close: async () => void socket.destroy() })
    void serve(socket).catch(() => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  keepOpen({ close: async () => void server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const numbers = (...all: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * all.length)
  for (const [index, number] of all.entries()) bytes.writeUInt32BE(number, 4 * index)
  return bytes
}
const goaway = (lastStream: number, code: number) =>
  frame(FRAME.goaway, 0, 0, numbers(lastStream, code))
/** :status 200, as HPACK has it in its table. */
const good = (stream: number, flags = END_HEADERS): Buffer =>
  frame(FRAME.headers, flags, stream, Buffer.from([0x88]))
const reset = (code: number) => frame(FRAME.rstStream, 0, 1, numbers(code))

/** An upstream of a server that does this, and of one that answers; and the bodies of the latter. */
async function openBeside(answer: (connection: RawHttp2) => void) {
  let asked = 0
  const first = await openRaw(connection => {
    asked++
    answer(connection)
  })
  const bodies: string[] = []
  const server = createServer()
  server.on('stream', async (stream: ServerHttp2Stream) => {
    bodies.push(Buffer.concat(await stream.toArray()).toString())
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const second = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const upstream = upstreamOver([first, second], { http2: true })
  keepOpen({ close: async () => void server.close() })
  keepOpen(upstream)
  return { upstream, bodies, asked: () => asked }
}

describe('a request that an upstream over HTTP/2 says it has not processed', () => {
  test.each<[string, Buffer]>([
    ['by REFUSED_STREAM', reset(REFUSED)],
    ['by a GOAWAY that ends before it', goaway(0, NONE)],
    ['by a GOAWAY for a fault that ends before it', goaway(0, CALM)],
  ])('%s goes to another server, with its body', async (_, answer) => {
    const { upstream, bodies, asked } = await openBeside(connection => connection.send(answer))
    const body = Buffer.from('body')
    const outcome = await send(upstream, requestTo('/', { method: 'POST', body }))
    expect(outcome.kind).toBe('response')
    expect(bodies).toEqual(['body'])
    expect(asked()).toBe(1)
  })

  test('could not be reached where there is no other server', async () => {
    const upstream = upstreamAt(await openRaw(connection => connection.send(reset(REFUSED))), {
      http2: true,
    })
    keepOpen(upstream)
    const outcome = await send(upstream, requestTo('/'))
    expect(outcome).toEqual({ kind: 'unreachable', detail: 'REFUSED_STREAM' })
  })

  test('goes nowhere else once its body was begun', async () => {
    const { upstream, bodies } = await openBeside(async connection => {
      await connection.until(FRAME.data)
      connection.send(reset(REFUSED))
    })
    const body = new Readable({ read: () => undefined })
    body.on('error', () => undefined)
    body.push('part')
    const outcome = await send(upstream, requestTo('/', { method: 'POST', body }))
    expect(outcome.kind).toBe('unreachable')
    expect(bodies).toEqual([])
  })

  test('puts a server that says so again and again out of use', async () => {
    const { upstream, asked } = await openBeside(connection => connection.send(goaway(0, NONE)))
    for (let count = 0; count < 10; count++) await send(upstream, requestTo('/'))
    expect(asked()).toBe(3)
    expect(upstream.targets[0]?.health.fault).toBe('REFUSED_STREAM')
  })
})

test.each<[string, Buffer[]]>([
  ['reset for a fault', [reset(BROKEN)]],
  ['within the last that a GOAWAY names, on a connection that ends', [goaway(1, CALM)]],
])('a request that was %s is never sent again', async (_, answer) => {
  const { upstream, bodies } = await openBeside(connection => connection.send(...answer))
  const outcome = await send(upstream, requestTo('/'))
  expect(outcome.kind).toBe('unreachable')
  expect(bodies).toEqual([])
})

test('a response that was refused after its head is a broken one, and no other is asked for', async () => {
  const { upstream, bodies } = await openBeside(connection =>
    connection.send(good(1), reset(REFUSED)),
  )
  expect((await collect(asResponse(await send(upstream, requestTo('/'))).body)).delivery).toBe(
    'aborted',
  )
  expect(bodies).toEqual([])
})

/**
 * A server that ends each connection after so many requests, as nginx does after
 * `keepalive_requests`: those that are under way by then are not processed.
 */
async function openRenewing(perConnection: number): Promise<{ url: string; served(): number }> {
  let served = 0
  const url = await openRaw((connection, { stream, count }) => {
    if (count === perConnection + 1) connection.send(goaway(stream - 2, NONE))
    if (count > perConnection) return
    served++
    connection.send(good(stream, END_HEADERS | END_STREAM))
  })
  return { url, served: () => served }
}

const atOnce = (upstream: Upstream, count: number): Promise<UpstreamOutcome[]> =>
  Promise.all(Array.from({ length: count }, () => send(upstream, requestTo('/'))))

describe('a connection that its server ends after so many requests', () => {
  test('leaves the rest to a new one to the same server, which is blamed for nothing', async () => {
    const { url, served } = await openRenewing(3)
    const upstream = upstreamOver([url], { http2: true })
    keepOpen(upstream)
    const outcomes = await atOnce(upstream, 8)
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'response'))
    expect(served()).toBe(8)
    expect(upstream.targets[0]).toMatchObject({ outstanding: 0, health: { isUp: true } })
  })

  test('serves those first who have met with most of them', async () => {
    const { url, served } = await openRenewing(3)
    const upstream = upstreamOver([url], { http2: true })
    keepOpen(upstream)
    const kinds: string[] = []
    const caller = async (): Promise<void> => {
      for (let count = 0; count < 5; count++) {
        kinds.push((await send(upstream, requestTo('/'))).kind)
      }
    }
    await Promise.all(Array.from({ length: 15 }, caller))
    expect(kinds).toEqual(kinds.map(() => 'response'))
    expect(served()).toBe(75)
  })

  test('blames nobody where another server is up either', async () => {
    const servers = [await openRenewing(3), await openRenewing(3)]
    const upstream = upstreamOver(
      servers.map(({ url }) => url),
      { http2: true },
    )
    keepOpen(upstream)
    const outcomes = await atOnce(upstream, 20)
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'response'))
    expect(servers[0]?.served()).toBeGreaterThan(0)
    expect(servers.reduce((sum, { served }) => sum + served(), 0)).toBe(20)
    expect(upstream.targets.map(({ health }) => health.isUp)).toEqual([true, true])
  })

  test('keeps nobody waiting for the streams that it still carries', async () => {
    const url = await openRaw((connection, { stream, count }) => {
      // An event stream that has no end, and what is to be told from it by its number.
      if (count === 1) connection.send(good(stream))
      else connection.send(goaway(stream - 2, NONE))
    })
    const upstream = upstreamAt(url, { http2: true, maxConnections: 1 })
    keepOpen(upstream)
    const first = asResponse(await send(upstream, requestTo('/')))
    const second = asResponse(await send(upstream, requestTo('/')))
    second.body.cancel()
    first.body.cancel()
  })

  test('is renewed five times for one request, and no more', async () => {
    const { url, served } = await openRenewing(1)
    const upstream = upstreamOver([url], { http2: true })
    keepOpen(upstream)
    const kinds = (await atOnce(upstream, 12)).map(({ kind }) => kind)
    expect(kinds.toSorted()).toEqual([
      ...Array.from({ length: 6 }, () => 'response'),
      ...Array.from({ length: 6 }, () => 'unreachable'),
    ])
    expect(served()).toBe(6)
  })

  test('is not renewed for a request whose body was begun', async () => {
    const url = await openRaw(async (connection, { stream, count }) => {
      if (count === 1) return connection.send(good(stream, END_HEADERS | END_STREAM))
      await connection.until(FRAME.data)
      connection.send(goaway(stream - 2, NONE))
    })
    const upstream = upstreamAt(url, { http2: true })
    keepOpen(upstream)
    await send(upstream, requestTo('/'))
    const body = new Readable({ read: () => undefined })
    body.on('error', () => undefined)
    body.push('part')
    const outcome = await send(upstream, requestTo('/', { method: 'POST', body }))
    expect(outcome).toEqual({ kind: 'unreachable', detail: 'REFUSED_STREAM' })
  })
})
