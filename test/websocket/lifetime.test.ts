import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { createAuthority } from '../support/certificates.ts'
import { startTestGateway } from '../support/gateway.ts'
import { connectRaw } from '../support/raw-client.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { ask, shakeOpen, startSocketApi } from '../support/socket-api.ts'
import { ACCEPTED, handshakeTo, onStop, startShop, stopAll } from './free-shop.ts'

afterEach(stopAll)

test('a reload leaves a tunnel alone, and closes its old pool all the same', async () => {
  const first = onStop(await startSocketApi())
  const second = onStop(await startSocketApi())
  const yaml = (apiUrl: string, limits: string): string => `
server: {listen: "127.0.0.1:0"}
upstreams: {api: {url: "${apiUrl}"}}
routes:
  /ws/*: {price: free, websocket: ${limits}}
  /plain: free`
  const gateway = onStop(await startTestGateway(yaml(first.url, 'true')))
  const old = await shakeOpen(`${gateway.url}/ws/a`)
  expect(await (await fetch(`${gateway.url}/plain`)).text()).toBe('plain')
  const [kept] = first.requests.map(({ socket }) => socket)
  if (kept === undefined) throw new Error('Nothing reached the first API.')
  const poolClosed = once(kept, 'close')

  await gateway.write(yaml(second.url, '{maxDuration: 1s}'))
  expect((await gateway.reload()).kind).toBe('reloaded')
  await poolClosed
  expect(await ask(old, 'still there')).toBe('still there')
  const young = await shakeOpen(`${gateway.url}/ws/a`)
  expect(second.handshakes.length).toBe(1)
  // The new limit is for what began under it.
  expect(await young.closed).toMatchObject({ code: 1001, reason: 'max_duration' })
  expect(await ask(old, 'still there')).toBe('still there')
  old.socket.close()
  await old.closed
})

test('a drain tells every tunnel to end, takes none any more, and does not wait its whole time', async () => {
  const api = onStop(await startSocketApi())
  const routes = '  /ws/*: {price: free, websocket: true}'
  const gateway = await startShop(api.url, routes, ', drainTimeout: 30s')
  const tunnels = await Promise.all(
    Array.from({ length: 20 }, () => shakeOpen(`${gateway.url}/ws/a`)),
  )
  const began = Date.now()
  const closing = gateway.close()
  for (const { closed } of tunnels) {
    expect(await closed).toEqual({ code: 1001, reason: 'shutting_down' })
  }
  await closing
  expect(Date.now() - began).toBeLessThan(10_000)
  const ends = gateway.logs.filter(({ msg }) => msg === 'websocket closed')
  expect(ends.map(({ end }) => end)).toEqual(Array.from({ length: 20 }, () => 'shutting_down'))
})

test('a tunnel whose sides say nothing more is cut off by a drain', async () => {
  const upstream = onStop(await startRawUpstream(socket => socket.write(`${ACCEPTED}\r\n`)))
  const routes = '  /ws/*: {price: free, websocket: true}'
  const gateway = await startShop(upstream.url, routes, ', drainTimeout: 5s')
  const client = await connectRaw(gateway.url)
  // The first half of a frame's head: nothing of ours may follow it.
  client.send(Buffer.concat([Buffer.from(handshakeTo('/ws/a')), Buffer.from([0x82])]))
  expect((await client.readHead()).status).toBe(101)
  const began = Date.now()
  await gateway.close()
  expect(Date.now() - began).toBeLessThan(4_000)
  // The other way was between frames.
  expect([...(await client.readToEnd())].slice(0, 4)).toEqual([0x88, 15, 0x03, 0xe9])
})

test('a handshake that comes while the gateway drains is sent elsewhere', async () => {
  const asked = Promise.withResolvers<Socket>()
  const upstream = onStop(await startRawUpstream(socket => asked.resolve(socket)))
  const routes = '  /ws/*: {price: free, websocket: true}\n  /plain: free'
  const gateway = await startShop(upstream.url, routes, ', drainTimeout: 5s')
  const waiting = await connectRaw(gateway.url)
  waiting.send(handshakeTo('/ws/a'))
  const socket = await asked.promise
  const closing = gateway.close()
  socket.write(`${ACCEPTED}\r\n`)
  // Nothing was opened that would have to be closed at once.
  expect((await waiting.read()).status).toBe(502)
  await closing
})

test('a WebSocket goes through the TLS of the listener', async () => {
  const api = onStop(await startSocketApi())
  const authority = await createAuthority()
  const { cert, key } = await authority.issue()
  const yaml = `
server: {listen: "127.0.0.1:0", tls: {cert: tls.crt, key: tls.key}}
upstreams: {api: {url: "${api.url}"}}
routes: {/ws/*: {price: free, websocket: true}}`
  const gateway = onStop(
    await startTestGateway(yaml, {
      async prepare(folder) {
        await writeFile(join(folder, 'tls.crt'), cert)
        await writeFile(join(folder, 'tls.key'), key)
      },
    }),
  )
  const open = await shakeOpen(`${gateway.url}/ws/a`, {}, { ca: authority.cert })
  expect(await ask(open, 'hello')).toBe('hello')
  expect(api.handshakes[0]?.headers['x-forwarded-proto']).toBe('https')
  const closing = gateway.close()
  expect(await open.closed).toEqual({ code: 1001, reason: 'shutting_down' })
  await closing
})
