import { createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Fault, TargetHealth } from '../../src/upstream/target-health.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { asResponse, collect, requestTo, send, upstreamOver } from './harness.ts'
import { closeAfterEach, keepOpen, upstreamOf } from './servers.ts'

closeAfterEach()

describe('one target', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function healthOf(parts: { periodMs?: number; canBeSpared?: boolean } = {}) {
    const said: Fault[] = []
    const state = { fault: null as Fault, checks: 0 }
    const health = new TargetHealth({
      periodMs: parts.periodMs ?? null,
      canBeSpared: () => parts.canBeSpared ?? true,
      onChange: () => void said.push(health.fault),
      async check() {
        state.checks++
        return state.fault
      },
    })
    health.start()
    return { health, said, state }
  }

  const refuse = (health: TargetHealth, times: number): void => {
    for (let count = 0; count < times; count++) health.connectFailed('ECONNREFUSED')
  }

  test('goes out of use at the third failure in a row, and an answer between begins anew', () => {
    const { health, said } = healthOf()
    refuse(health, 2)
    health.answered()
    refuse(health, 2)
    expect(health.isUp).toBe(true)
    refuse(health, 3)
    expect([health.isUp, health.fault, said]).toEqual([false, 'ECONNREFUSED', ['ECONNREFUSED']])
    expect(health.retryInMs).toBe(1_000)
  })

  test('what a request may have caused takes no target out of use that cannot be spared', () => {
    const [spared, last] = [healthOf(), healthOf({ canBeSpared: false })]
    for (const { health } of [spared, last]) {
      for (let count = 0; count < 5; count++) health.gaveNoHead('ECONNRESET')
    }
    expect([spared.health.isUp, last.health.isUp]).toEqual([false, true])
  })

  test('is looked at ever less often, at least once a minute', async () => {
    const { health, state } = healthOf()
    state.fault = 'ECONNREFUSED'
    refuse(health, 3)
    const waits: number[] = []
    for (let count = 1; count <= 9; count++) {
      waits.push(health.retryInMs)
      await vi.advanceTimersByTimeAsync(health.retryInMs)
      expect(state.checks).toBe(count)
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map(seconds => seconds * 1_000))
  })

  test('comes back by a check, on probation until it has answered', async () => {
    const { health, said } = healthOf()
    refuse(health, 3)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(health.isUp).toBe(true)
    refuse(health, 1)
    expect([health.isUp, health.retryInMs]).toEqual([false, 2_000])
    await vi.advanceTimersByTimeAsync(2_000)
    health.answered()
    refuse(health, 2)
    expect([health.isUp, said]).toEqual([true, ['ECONNREFUSED', null, 'ECONNREFUSED', null]])
  })

  test('two failed checks in a row take it out of use, one good one brings it back', async () => {
    const { health, said, state } = healthOf({ periodMs: 5_000 })
    await vi.advanceTimersByTimeAsync(0)
    expect(state.checks).toBe(1)
    state.fault = 'STATUS_503'
    await vi.advanceTimersByTimeAsync(5_000)
    expect(health.isUp).toBe(true)
    health.answered()
    await vi.advanceTimersByTimeAsync(5_000)
    expect([health.isUp, said]).toEqual([false, ['STATUS_503']])
    state.fault = null
    await vi.advanceTimersByTimeAsync(1_000)
    expect([health.isUp, said]).toEqual([true, ['STATUS_503', null]])
    const { checks } = state
    await vi.advanceTimersByTimeAsync(5_000)
    expect(state.checks).toBe(checks + 1)
  })

  test('is not looked at once it is closed', async () => {
    const { health, state } = healthOf({ periodMs: 1_000 })
    await vi.advanceTimersByTimeAsync(0)
    health.close()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([state.checks, vi.getTimerCount()]).toEqual([1, 0])
  })
})

test('nobody listens: unavailable after three requests, and back without one of them', async () => {
  const first = await startRawUpstream(() => {})
  const port = Number(new URL(first.url).port)
  await first.close()
  const changes: (string | null)[] = []
  const upstream = keepOpen(
    upstreamOver(
      [first.url],
      {},
      {
        upstreamChanged: ({ fault }) => void changes.push(fault),
        upstreamRefused() {},
      },
    ),
  )
  for (let count = 0; count < 3; count++) {
    expect(await send(upstream, requestTo('/'))).toMatchObject({ kind: 'unreachable' })
  }
  expect(upstream.condition()).toMatchObject({ kind: 'unavailable' })
  expect(await send(upstream, requestTo('/'))).toMatchObject({ kind: 'unavailable' })

  const heads: string[] = []
  const second = createServer(socket => {
    socket.on('data', bytes => {
      heads.push(String(bytes))
      socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    })
  })
  await new Promise<void>(resolve => void second.listen(port, '127.0.0.1', resolve))
  await expect.poll(() => upstream.condition()).toEqual({ kind: 'ready' })
  expect([heads, changes]).toEqual([[], ['ECONNREFUSED', null]])
  await collect(asResponse(await send(upstream, requestTo('/'))).body)
  second.close()
})

test('the check is a GET with the headers of the upstream, on a connection of its own', async () => {
  const seen: (string | undefined)[][] = []
  let status = 200
  const [upstream] = await upstreamOf(
    async (request, response) => {
      if (request.url !== '/healthz?deep=1') return
      seen.push([
        request.method,
        String(request.headers['x-key']),
        request.headers['content-length'],
      ])
      response.writeHead(status).end('fine')
    },
    {
      path: '/base',
      headers: { 'x-key': 'secret' },
      maxConnections: 1,
      health: { path: '/healthz?deep=1', intervalMs: 20, timeoutMs: 1_000 },
    },
  )
  // All that requests may use is taken.
  const held = send(upstream, requestTo('/held', { timeoutMs: 1_000 }))
  await expect.poll(() => seen.length).toBeGreaterThan(2)
  expect(seen[0]).toEqual(['GET', 'secret', undefined])
  status = 503
  await expect.poll(() => upstream.condition().kind).toBe('unavailable')
  expect(upstream.targets[0]?.health.fault).toBe('STATUS_503')
  status = 204
  await expect.poll(() => upstream.condition().kind).toBe('ready')
  await held
})

const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'

test.each<[string, string, number, (socket: Socket) => void]>([
  ['is silent', 'TIMEOUT', 30, () => {}],
  ['breaks off', 'UND_ERR_SOCKET', 5_000, socket => socket.end()],
  ['breaks off behind its head', 'UND_ERR_SOCKET', 5_000, socket => socket.end(HALF)],
])('a check that %s takes the target out of use', async (_name, fault, timeoutMs, answer) => {
  const server = keepOpen(await startRawUpstream(answer))
  const health = { path: '/', intervalMs: 30, timeoutMs }
  const upstream = keepOpen(upstreamOver([server.url], { health }))
  await expect.poll(() => upstream.targets[0]?.health.fault).toBe(fault)
})
