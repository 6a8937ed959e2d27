import { once } from 'node:events'
import { x402Client } from '@x402/core/client'
import { decodePaymentRequiredHeader, encodePaymentSignatureHeader } from '@x402/core/http'
import { ExactEvmScheme } from '@x402/evm'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { onceSettled } from '../support/facilitator.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import { signFor } from '../support/payments.ts'
import { connectRaw } from '../support/raw-client.ts'
import {
  ask,
  type Shaken,
  type SocketApi,
  shake,
  shakeOpen,
  shakeRefused,
  startSocketApi,
} from '../support/socket-api.ts'
import { handshakeTo } from './free-shop.ts'

let world: World
let api: SocketApi
let gateway: TestGateway
/** Done once the money has moved, and before the gateway knows. */
let afterSettle = async (): Promise<void> => {}

beforeAll(async () => {
  world = await startWorld({ intercept: onceSettled(() => afterSettle()) })
  api = await startSocketApi((request, socket) => {
    const [, status] = /\/refuse\/(\d+)/.exec(request.url ?? '') ?? []
    if (status === undefined) return true
    socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`)
    return false
  })
  gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
upstreams: {feed: {url: "${api.url}"}}
routes:
  GET /feed/*: {price: $0.01, websocket: true}
  GET /first/*: {price: $0.01, websocket: true, settle: before-upstream}
`)
})

afterAll(async () => {
  await gateway.close()
  await api.close()
  await world.close()
})

beforeEach(async () => {
  afterSettle = async () => {}
  await world.startCounting()
})

test('a handshake without a payment gets the price and reaches nobody', async () => {
  const seen = api.handshakes.length
  const refused = await shakeRefused(`${gateway.url}/feed/unpaid`)
  expect(refused).toMatchObject({ status: 402, headers: { connection: 'close' } })
  expect(refused.headers['content-length']).toBe(String(refused.body.length))
  expect(refused.headers['payment-required']).toBeDefined()
  expect(api.handshakes.length).toBe(seen)
})

test('the official client signs what the 402 asks for, and the tunnel opens once it is settled', async () => {
  const url = `${gateway.url}/feed/official`
  const { headers } = await shakeRefused(url)
  const client = x402Client.fromConfig({
    schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }],
  })
  const required = decodePaymentRequiredHeader(String(headers['payment-required']))
  const payment = encodePaymentSignatureHeader(await client.createPaymentPayload(required))
  const open = await shakeOpen(url, { 'PAYMENT-SIGNATURE': payment })
  expect(await world.earned()).toBe(10_000n)
  expect(await ask(open, 'hello')).toBe('hello')
  const receipt = JSON.parse(
    Buffer.from(String(open.headers['payment-response']), 'base64').toString(),
  )
  expect(receipt).toMatchObject({ success: true, network: 'eip155:84532' })
  const sent = api.handshakes.at(-1)?.headers
  expect(sent?.['farebox-payer']).toBe(buyer.address)
  expect(sent?.['payment-signature']).toBeUndefined()
  open.socket.close()
  await expect.poll(() => gateway.states().at(-1)).toBe('delivered')
  const again = await shakeRefused(url, { 'PAYMENT-SIGNATURE': payment })
  expect(again.status).toBe(409)
  expect(JSON.parse(again.body)).toMatchObject({ code: 'payment_already_used' })
  expect(await world.earned()).toBe(10_000n)
})

test('what the upstream refuses costs nothing', async () => {
  for (const status of [401, 404, 503]) {
    const url = `${gateway.url}/feed/refuse/${status}`
    const payment = await signFor(world.chain, url)
    const refused = await shakeRefused(url, { 'PAYMENT-SIGNATURE': payment })
    expect(refused).toMatchObject({ status, body: 'no' })
    expect(gateway.states().at(-1)).toBe('released')
  }
  expect(await world.earned()).toBe(0n)
})

test('paid before the upstream was asked, a refused handshake keeps its right', async () => {
  const url = `${gateway.url}/first/refuse/401`
  const payment = await signFor(world.chain, url)
  const headers = { 'PAYMENT-SIGNATURE': payment }
  expect(await shakeRefused(url, headers)).toMatchObject({ status: 401 })
  expect(await world.earned()).toBe(10_000n)
  await expect.poll(() => gateway.states().at(-1)).toBe('settled')
  expect(await shakeRefused(url, headers)).toMatchObject({ status: 401 })
  expect(await world.earned()).toBe(10_000n)
})

test('twenty handshakes with one payment open one tunnel', async () => {
  const url = `${gateway.url}/feed/race`
  const payment = await signFor(world.chain, url)
  const before = api.sockets.length
  const all = await Promise.all(
    Array.from({ length: 20 }, () => shake(url, { 'PAYMENT-SIGNATURE': payment })),
  )
  const open = all.filter((one): one is Extract<Shaken, { kind: 'open' }> => one.kind === 'open')
  expect(open.length).toBe(1)
  const statuses = all.flatMap(one => (one.kind === 'refused' ? [one.status] : []))
  expect(new Set(statuses)).toEqual(new Set([409]))
  expect(api.sockets.length).toBe(before + 1)
  expect(await world.earned()).toBe(10_000n)
  open[0]?.socket.close()
})

test('an upstream that dies while the payment is settled still owes a tunnel', async () => {
  const url = `${gateway.url}/feed/dies`
  const headers = { 'PAYMENT-SIGNATURE': await signFor(world.chain, url) }
  afterSettle = async () => {
    const socket = api.sockets.at(-1)
    if (socket === undefined) throw new Error('The API was not asked before the settlement.')
    socket.terminate()
    await once(socket, 'close')
  }
  const first = await shake(url, headers)
  if (first.kind === 'open') await first.closed
  await expect.poll(() => gateway.states().at(-1)).toBe('settled')
  expect(await ask(await shakeOpen(url, headers), 'hello')).toBe('hello')
  await expect.poll(() => gateway.states().at(-1)).toBe('delivered')
  expect(await world.earned()).toBe(10_000n)
})

test('a client that leaves while its payment is settled keeps its right to a tunnel', async () => {
  const url = `${gateway.url}/feed/leaves`
  const payment = await signFor(world.chain, url)
  const headers = { 'PAYMENT-SIGNATURE': payment }
  const client = await connectRaw(gateway.url)
  const { host } = new URL(url)
  afterSettle = async () => {
    client.destroy()
    await client.closed
  }
  const head = handshakeTo('/feed/leaves', `PAYMENT-SIGNATURE: ${payment}\r\n`)
  client.send(head.replace('shop.test', host))
  await client.closed
  await expect.poll(() => gateway.states().at(-1)).toBe('settled')
  await expect.poll(() => gateway.logs.at(-1)).toMatchObject({ outcome: 'paid_aborted' })
  expect(await ask(await shakeOpen(url, headers), 'hello')).toBe('hello')
  await expect.poll(() => gateway.states().at(-1)).toBe('delivered')
  expect(await world.earned()).toBe(10_000n)
})
