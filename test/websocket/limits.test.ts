import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestGateway } from '../support/gateway.ts'
import {
  ask,
  type SocketApi,
  shakeOpen,
  shakeRefused,
  startSocketApi,
} from '../support/socket-api.ts'
import { onStop, startShop, stopAll } from './free-shop.ts'

let api: SocketApi
let gateway: TestGateway

beforeAll(async () => {
  api = onStop(await startSocketApi())
  gateway = await startShop(
    api.url,
    `
  /ws/*: {price: free, websocket: true}
  /time: {price: free, websocket: {maxDuration: 1s}}
  /bytes: {price: free, websocket: {maxBytes: 10KiB}}
  /frame: {price: free, websocket: {maxBytes: 1MiB}}
  /idle: {price: free, websocket: {idleTimeout: 1s}}
  /slow: {price: free, websocket: {maxBytes: 1GiB}}
  /few: {price: free, websocket: {maxOpen: 2}}`,
  )
})

afterAll(stopAll)

test('a free route tunnels both ways, text, bytes and pings', async () => {
  const open = await shakeOpen(`${gateway.url}/ws/a?b=c`)
  expect(api.handshakes.at(-1)?.url).toBe('/ws/a?b=c')
  expect(await ask(open, 'hello')).toBe('hello')
  const large = 'x'.repeat(3_000_000)
  expect(await ask(open, large)).toBe(large)
  const pong = once(open.socket, 'pong')
  open.socket.ping()
  await pong
  open.socket.close(4000, 'done')
  expect(await open.closed).toEqual({ code: 4000, reason: 'done' })
})

test('it ends after its time, and both sides hear why', async () => {
  const open = await shakeOpen(`${gateway.url}/time`)
  const upstream = api.sockets.at(-1)
  if (upstream === undefined) throw new Error('No WebSocket reached the API.')
  const heard = once(upstream, 'close')
  expect(await open.closed).toEqual({ code: 1001, reason: 'max_duration' })
  expect((await heard)[0]).toBe(1001)
  await expect
    .poll(() => gateway.logs.at(-1))
    .toMatchObject({
      msg: 'websocket closed',
      route: '/time',
      end: 'max_duration',
      bytesFromClient: 0,
      bytesToClient: 0,
    })
  expect(gateway.logs.at(-1)?.['durationMs']).toBeGreaterThanOrEqual(990)
})

test('it ends after its bytes, with whole frames only', async () => {
  const open = await shakeOpen(`${gateway.url}/bytes`)
  const text = 'x'.repeat(1_000)
  let echoes = 0
  open.socket.on('message', data => {
    expect(String(data)).toBe(text)
    echoes++
    open.socket.send(text)
  })
  open.socket.send(text)
  expect(await open.closed).toEqual({ code: 1008, reason: 'max_bytes' })
  expect(echoes).toBe(5)
  await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ end: 'max_bytes' })
  const { bytesFromClient, bytesToClient } = gateway.logs.at(-1) ?? {}
  expect(Number(bytesFromClient) + Number(bytesToClient)).toBeLessThanOrEqual(10 * 1024)
})

test('a frame that is longer than what is left is cut off, not closed', async () => {
  const open = await shakeOpen(`${gateway.url}/frame`)
  const upstream = api.sockets.at(-1)
  upstream?.send(Buffer.alloc(2 * 1024 ** 2))
  expect((await open.closed).code).toBe(1006)
  await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ end: 'max_bytes' })
  expect(gateway.logs.at(-1)?.['bytesToClient']).toBeLessThanOrEqual(1024 ** 2)
})

test('it ends when nothing comes, and not while something does', async () => {
  const began = Date.now()
  const open = await shakeOpen(`${gateway.url}/idle`)
  const pings = setInterval(() => api.sockets.at(-1)?.ping(), 200)
  setTimeout(() => clearInterval(pings), 1_500)
  expect(await open.closed).toEqual({ code: 1001, reason: 'idle' })
  expect(Date.now() - began).toBeGreaterThan(2_200)
})

test('a slow reader holds the upstream, not our memory', async () => {
  const open = await shakeOpen(`${gateway.url}/slow`)
  const upstream = api.sockets.at(-1)
  if (upstream === undefined) throw new Error('No WebSocket reached the API.')
  open.socket.pause()
  const chunk = Buffer.alloc(1024 ** 2)
  let sent = 0
  for (; sent < 80; sent++) upstream.send(chunk)
  // What the kernel and four sockets hold has left the API; the rest waits there.
  let before = -1
  await expect
    .poll(
      () => {
        const isStill = upstream.bufferedAmount === before
        before = upstream.bufferedAmount
        return isStill
      },
      { interval: 200 },
    )
    .toBe(true)
  expect(upstream.bufferedAmount).toBeGreaterThan(40 * 1024 ** 2)
  let received = 0
  open.socket.on('message', data => {
    received += (data as Buffer).length // the default binaryType
  })
  open.socket.resume()
  await expect.poll(() => received).toBe(sent * chunk.length)
  open.socket.terminate()
})

test('either side that vanishes takes the other along', async () => {
  const first = await shakeOpen(`${gateway.url}/ws/a`)
  api.sockets.at(-1)?.terminate()
  expect((await first.closed).code).toBe(1006)
  await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ end: 'upstream' })
  const second = await shakeOpen(`${gateway.url}/ws/a`)
  const upstream = api.sockets.at(-1)
  if (upstream === undefined) throw new Error('No WebSocket reached the API.')
  const gone = once(upstream, 'close')
  second.socket.terminate()
  await gone
  await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ end: 'client' })
})

test('no more are open than may be, and the metrics count them', async () => {
  const url = `${gateway.url}/few`
  const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const open = [await shakeOpen(url), await shakeOpen(url)]
  const refused = await shakeRefused(url)
  expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
  expect(JSON.parse(refused.body)).toMatchObject({ code: 'too_many_tunnels' })
  expect(await metrics()).toContain('farebox_websockets_open{route="/few"} 2')
  for (const { socket } of open) socket.close()
  await expect.poll(metrics).toContain('farebox_websockets_open{route="/few"} 0')
  expect(await metrics()).toContain('farebox_websockets_closed_total{route="/few",end="client"} 2')
  const third = await shakeOpen(url)
  third.socket.close()
  await third.closed
})
