import { once } from 'node:events'
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { UpstreamConfig } from '../../src/config/gateway-config.ts'
import { createTargetCheck } from '../../src/upstream/check-target.ts'
import { openPool } from '../../src/upstream/open-pool.ts'
import type { Upstream, UpstreamOutcome } from '../../src/upstream/upstream.ts'
import { createAuthority } from '../support/certificates.ts'
import { asResponse, collect, configOf, requestTo, send, targetAt, upstreamAt } from './harness.ts'

const closings: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close()
})

const NOTHING = { method: 'GET', target: '/', rawHeaders: [], addedHeaders: [], body: null }

/** RFC 9113 section 6.5: a frame of no settings. */
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

type Serve = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void

/** An upstream over HTTP/2 whose one target is this server, which begins to listen. */
async function upstreamOf(
  server: NetServer,
  settings: Partial<UpstreamConfig> = {},
): Promise<Upstream> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const upstream = upstreamAt(`http://127.0.0.1:${port}`, { http2: true, ...settings })
  closings.push(
    () => server.close(),
    () => upstream.close(),
  )
  return upstream
}

async function open(serve: Serve) {
  const server = createServer()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {})
    serve(stream, headers)
  })
  const upstream = await upstreamOf(server)
  const abort = { now: (): void => undefined }
  const send = (body: Buffer | Readable | null = null, rawHeaders: readonly string[] = []) =>
    upstream.send(
      {
        ...{ method: body === null ? 'GET' : 'POST', target: '/x', rawHeaders, body },
        ...{ addedHeaders: [], timeoutMs: 5_000 },
      },
      cancel => {
        abort.now = cancel
      },
    )
  return { send, abort }
}

/** Answers with a body of so many bytes, as fast as it is taken. */
function pour(
  stream: ServerHttp2Stream,
  size: number,
  onWrite: (bytes: number) => void = () => {},
) {
  stream.respond({ ':status': 200 })
  let sent = 0
  const more = (): void => {
    while (sent < size) {
      const bytes = Math.min(65_536, size - sent)
      sent += bytes
      onWrite(bytes)
      if (!stream.write(Buffer.alloc(bytes))) return void stream.once('drain', more)
    }
    stream.end()
  }
  more()
}

const take = (outcome: UpstreamOutcome) => collect(asResponse(outcome).body)

describe('an upstream over HTTP/2', () => {
  test('gets the request, and te: trailers whoever asks', async () => {
    let seen: Record<string, unknown> = {}
    const { send } = await open((stream, headers) => {
      seen = headers
      stream.pipe(stream)
    })
    const taken = await take(await send(Buffer.from('hello'), ['X-A', '1', 'Connection', 'close']))
    expect(taken).toEqual({ delivery: 'delivered', bytes: Buffer.from('hello'), trailers: [] })
    expect(seen).toMatchObject({ ':method': 'POST', ':path': '/x', 'x-a': '1', te: 'trailers' })
    expect(seen).not.toHaveProperty('connection')
  })

  test('sends trailers, and says when nothing follows its head', async () => {
    const { send } = await open((stream, headers) => {
      if (headers[':method'] === 'POST') {
        stream.respond({ 'grpc-status': '5' }, { endStream: true })
        return
      }
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end('body')
    })
    const whole = await send()
    expect(whole.kind === 'response' && whole.body.isEmpty).toBe(false)
    expect(await take(whole)).toMatchObject({
      bytes: Buffer.from('body'),
      trailers: ['grpc-status', '0'],
    })
    const only = await send(Buffer.from('x'))
    expect(only.kind === 'response' && only.body.isEmpty).toBe(true)
    expect(only).toMatchObject({ headers: expect.arrayContaining(['grpc-status', '5']) })
    expect((await take(only)).delivery).toBe('delivered')
  })

  test('that resets a stream has not sent a whole body', async () => {
    for (const code of [2, 8]) {
      const { send } = await open(stream => {
        // Else node:http2 would end the stream instead of resetting it.
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.write('part', () => stream.close(code))
      })
      expect(await take(await send())).toMatchObject({ delivery: 'aborted' })
    }
  })

  test('that resets a stream before its head could not be reached', async () => {
    const { send } = await open(stream => stream.close(2))
    expect(await send()).toMatchObject({ kind: 'unreachable' })
  })

  test('is told when nobody waits any more', async () => {
    const reset = Promise.withResolvers<number>()
    const reached = Promise.withResolvers<void>()
    const { send, abort } = await open(stream => {
      reached.resolve()
      stream.once('close', () => reset.resolve(stream.rstCode))
    })
    const outcome = send()
    await reached.promise
    abort.now()
    expect(await outcome).toEqual({ kind: 'aborted' })
    expect(await reset.promise).toBe(8)
  })

  test('answers while it is still being asked', async () => {
    const { send } = await open(stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const body = new Readable({ read: () => undefined })
    const outcome = await send(body)
    const taken = take(outcome)
    body.push('one')
    body.push('two')
    body.push(null)
    expect((await taken).bytes.toString()).toBe('onetwo')
  })

  test('waits while nobody reads', async () => {
    let sent = 0
    const { send } = await open(stream => {
      pour(stream, 20_000_000, bytes => {
        sent += bytes
      })
    })
    const outcome = await send()
    let before = -1
    await expect
      .poll(() => {
        const still = sent === before
        before = sent
        return still
      })
      .toBe(true)
    expect(sent).toBeLessThan(2_000_000)
    expect((await take(outcome)).bytes).toHaveLength(sent)
  })

  test('is told that a body may be 256 KiB ahead of its reader, and a hundred of them at once', async () => {
    const windows = Promise.withResolvers<unknown>()
    const { send } = await open(stream => {
      const { session } = stream
      const { enablePush, initialWindowSize } = session?.remoteSettings ?? {}
      const { remoteWindowSize = 0 } = session?.state ?? {}
      windows.resolve([enablePush, initialWindowSize, remoteWindowSize])
      stream.respond({ ':status': 200 }, { endStream: true })
    })
    await send()
    expect(await windows.promise).toEqual([false, 256 * 1024, 100 * 256 * 1024])
  })

  test('may send one body while nobody reads ten others on its connection', async () => {
    const sessions = new Set<unknown>()
    const { send } = await open(stream => {
      sessions.add(stream.session)
      pour(stream, 4_000_000)
    })
    const others = await Promise.all(Array.from({ length: 10 }, () => send()))
    expect((await take(await send())).bytes).toHaveLength(4_000_000)
    expect(sessions.size).toBe(1)
    for (const other of others) expect((await take(other)).bytes).toHaveLength(4_000_000)
  })

  test('that breaks off an upload hears no end of it', async () => {
    const closed = Promise.withResolvers<boolean>()
    const { send } = await open(stream => {
      let ended = false
      stream.on('data', () => body.destroy(new Error('gone')))
      stream.once('end', () => {
        ended = !stream.aborted
      })
      stream.once('close', () => closed.resolve(ended))
    })
    const body = new Readable({ read: () => undefined })
    body.on('error', () => undefined)
    body.push('part')
    expect(await send(body)).toEqual({ kind: 'aborted' })
    expect(await closed.promise).toBe(false)
  })

  test('may answer with hundreds of header fields', async () => {
    const cookies = Array.from({ length: 500 }, (_, count) => `c${count}=1`)
    const { send } = await open(stream => {
      stream.respond({ ':status': 200, 'set-cookie': cookies }, { endStream: true })
    })
    const { headers } = asResponse(await send())
    expect(headers.filter(text => text === 'set-cookie')).toHaveLength(500)
  })

  test('that takes back one upload after the other still answers', async () => {
    const { send } = await open((stream, { ':method': method }) => {
      if (method === 'GET') stream.respond({ ':status': 204 }, { endStream: true })
      else stream.close(8)
    })
    // More in all than node:http2 allows to wait on one connection.
    for (let count = 0; count < 20; count++) {
      expect(await send(Buffer.alloc(1_000_000))).toMatchObject({ kind: 'unreachable' })
    }
    expect(await send()).toMatchObject({ kind: 'response', status: 204 })
  })

  test.each<[string, (socket: Socket) => void]>([
    ['hangs up instead of speaking HTTP/2', socket => socket.destroy()],
    ['is connected to and says nothing', socket => socket.resume()],
  ])('that %s could not be reached, time after time', async (_, treat) => {
    const server = createNetServer(treat)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const upstream = upstreamAt(`http://127.0.0.1:${port}`, {
      ...{ http2: true, maxConnections: 1, connectTimeoutMs: 100 },
    })
    closings.push(
      () => server.close(),
      () => upstream.close(),
    )
    for (const _ of [1, 2]) {
      const outcome = await upstream.send({ ...NOTHING, timeoutMs: 5_000 }, () => undefined)
      expect(['unreachable', 'down']).toContain(outcome.kind)
    }
  })

  test.each([
    ['chooses it by ALPN is spoken to over TLS', 'api.internal', 'response'],
    ['has a certificate of another name is not spoken to', 'other.internal', 'unreachable'],
  ])('that %s', async (_, serverName, kind) => {
    const authority = await createAuthority()
    const server = createSecureServer(await authority.issue({ name: 'api.internal' }))
    server.on('stream', (stream: ServerHttp2Stream) =>
      stream.respond({ ':status': 200 }, { endStream: true }),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const upstream = upstreamAt(`https://127.0.0.1:${port}`, {
      ...{ http2: true, tls: { ca: authority.cert, identity: null, serverName } },
    })
    closings.push(
      () => server.close(),
      () => upstream.close(),
    )
    const outcome = await upstream.send({ ...NOTHING, timeoutMs: 5_000 }, () => undefined)
    expect(outcome.kind).toBe(kind)
  })

  test('has nothing to do with a request that was given up before it could be sent', async () => {
    const server = createNetServer()
    const upstream = await upstreamOf(server)
    const [, [socket]] = await Promise.all([
      upstream.send({ ...NOTHING, timeoutMs: 5_000 }, abort => setImmediate(abort)),
      once(server, 'connection') as Promise<[Socket]>,
    ])
    closings.push(() => socket.destroy())
    expect(upstream.targets[0]?.outstanding).toBe(1)
    // Only now does the server say how many streams it takes.
    socket.write(EMPTY_SETTINGS)
    await expect.poll(() => upstream.targets[0]?.outstanding).toBe(0)
  })

  test('that takes no more connections is left alone until a stream ends', async () => {
    const held: ServerHttp2Stream[] = []
    const server = createServer({ settings: { maxConcurrentStreams: 1 } })
    server.on('stream', (stream: ServerHttp2Stream) => held.push(stream))
    // Closed, it keeps what is open, which node's own server for HTTP/2 would not.
    const door = createNetServer(socket => server.emit('connection', socket))
    const upstream = await upstreamOf(door)
    const request = { ...NOTHING, timeoutMs: 20_000 }
    const first = upstream.send(request, () => undefined)
    await expect.poll(() => held.length).toBe(1)
    door.close()
    const second = upstream.send(request, () => undefined)
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    expect(upstream.targets[0]?.health.isUp).toBe(true)
    held[0]?.respond({ ':status': 200 }, { endStream: true })
    await take(await first)
    await expect.poll(() => held.length).toBe(2)
    held[1]?.respond({ ':status': 204 }, { endStream: true })
    expect(await second).toMatchObject({ kind: 'response', status: 204 })
  })

  describe('that does not answer', () => {
    const times = { http2: true, maxConnections: 1, connectTimeoutMs: 50 }
    const request = requestTo('/', { timeoutMs: 100 })

    test('is asked whether it is there, and keeps its connection', async () => {
      const asked = Promise.withResolvers<void>()
      const server = createServer()
      let sessions = 0
      server.on('session', session => {
        sessions++
        session.on('ping', () => asked.resolve())
      })
      const upstream = await upstreamOf(server, times)
      // While the first one waits, the server at least takes note of our settings.
      for (const _ of [1, 2]) expect(await send(upstream, request)).toEqual({ kind: 'timeout' })
      await asked.promise
      for (const _ of [1, 2]) expect(await send(upstream, request)).toEqual({ kind: 'timeout' })
      expect(sessions).toBe(1)
    })

    test('not even then, gets another connection', async () => {
      const sockets: Socket[] = []
      const server = createNetServer(socket => {
        sockets.push(socket)
        if (sockets.length === 1) socket.write(EMPTY_SETTINGS)
        else live.emit('connection', socket)
      })
      const live = createServer()
      live.on('stream', (stream: ServerHttp2Stream) =>
        stream.respond({ ':status': 200 }, { endStream: true }),
      )
      const upstream = await upstreamOf(server, times)
      expect(await send(upstream, request)).toEqual({ kind: 'timeout' })
      const [first] = sockets
      if (first?.closed === false) await once(first.resume(), 'close')
      expect((await send(upstream, requestTo('/'))).kind).toBe('response')
    })
  })

  test('that is not there could not be reached', async () => {
    const upstream = upstreamAt('http://127.0.0.1:1', { http2: true })
    closings.push(() => upstream.close())
    const outcome = await upstream.send({ ...NOTHING, timeoutMs: 5_000 }, () => undefined)
    expect(outcome).toMatchObject({ kind: 'unreachable' })
  })
})

test('a health check is asked and read as requests are, on a connection of its own', async () => {
  const seen: (string | undefined)[] = []
  let connections = 0
  const server = createServer()
  server.on('session', () => connections++)
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    seen.push(headers[':path'], headers['x-key']?.toString())
    stream.on('error', () => undefined)
    if (headers[':path'] !== '/well') return stream.close(8)
    stream.respond({ ':status': 200 })
    stream.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  closings.push(() => server.close())
  const checkOf = (path: string) => {
    const health = { path, intervalMs: 1_000, timeoutMs: 1_000 }
    const config = configOf(url, { http2: true, health, headers: { 'x-key': 'k' } })
    const check = createTargetCheck(
      targetAt(url),
      config,
      openPool(targetAt(url), config, () => {}),
    )
    closings.push(() => check.close())
    return check
  }
  const check = checkOf('/well')
  expect(await check.run()).toBe(null)
  expect(await check.run()).toBe(null)
  expect(connections).toBe(1)
  expect(await checkOf('/ill').run()).not.toBe(null)
  expect(seen).toEqual(['/well', 'k', '/well', 'k', '/ill', 'k'])
})
