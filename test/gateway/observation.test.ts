import { afterAll, beforeAll, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { pay, readReceipt, signFor } from '../support/payments.ts'

let world: World
let gateway: TestGateway
let payment: string
let transaction: string

beforeAll(async () => {
  world = await startWorld()
  gateway = await startTestGateway(weatherYaml(world))
  const url = `${gateway.url}/v1/weather/secret-city?token=secret-query`
  payment = await signFor(world.chain, url)
  const headers = { authorization: 'Bearer secret-client-token' }
  const paid = await pay(url, payment, { headers })
  transaction = readReceipt(paid)?.transaction ?? ''
  await paid.text()
  await pay(`${gateway.url}/v1/broken`, await signFor(world.chain, `${gateway.url}/v1/broken`))
  await fetch(`${gateway.url}/nowhere/secret-path`)
  await fetch(`${gateway.url}/health`)
})

afterAll(async () => {
  await gateway.close()
  await world.close()
})

const metrics = async (): Promise<string> => (await fetch(`${gateway.adminUrl}/metrics`)).text()

test('metrics count requests, payments, revenue, facilitator calls and ledger rows', async () => {
  const text = await metrics()
  expect(text).toMatch(
    /farebox_requests_total\{.*route="GET \/v1\/weather\/\{city\}".*outcome="paid".*\} 1/,
  )
  expect(text).toMatch(/farebox_payments_total\{.*asset="USDC".*outcome="paid".*\} 1/)
  expect(text).toMatch(/farebox_revenue_token_units_total\{.*asset="USDC".*\} 0\.001/)
  expect(text).toMatch(/farebox_facilitator_duration_seconds_count\{.*operation="settle".*\} 1/)
  expect(text).toMatch(/farebox_ledger_rows\{state="delivered"\} 1/)
  expect(text).toMatch(/farebox_ledger_rows\{state="released"\} 1/)
  expect(text).toMatch(/farebox_build_info\{.*version="0\.1\.0"/)
})

test('labels never carry paths, payers or hosts', async () => {
  const text = await metrics()
  expect(text).not.toContain('secret')
  expect(text.toLowerCase()).not.toContain(buyer.address.toLowerCase())
  expect(text).toContain('route="(none)"')
})

test('each request is one log line, with its payment and none of its secrets', async () => {
  await expect
    .poll(() => gateway.logs.filter(line => line['outcome'] === 'paid'))
    .toEqual([
      expect.objectContaining({
        route: 'GET /v1/weather/{city}',
        method: 'GET',
        status: 200,
        clientAddress: '127.0.0.1',
      }),
    ])
  const text = JSON.stringify(gateway.logs)
  expect(text).toContain(transaction)
  expect(text).not.toMatch(/secret-query|secret-client-token/)
  expect(text).not.toContain(payment)
})

test('the upstream learns who paid, and never sees the payment', () => {
  const seen = world.api.requests.find(({ url }) => url.startsWith('/v1/weather/secret-city'))
  expect(seen?.headers).toMatchObject({
    'farebox-payer': buyer.address,
    'farebox-amount': '0.001 USDC',
    'farebox-payment-id': expect.stringMatching(/^[\w-]{22}$/),
    authorization: 'Bearer secret-client-token',
  })
  expect(seen?.headers).not.toHaveProperty('payment-signature')
  expect(seen?.url).toBe('/v1/weather/secret-city?token=secret-query')
})

test('the challenge names the resource without its query, and the receiver from the file', async () => {
  const unpaid = await fetch(`${gateway.url}/v1/weather/paris?secret=1`)
  const challenge = JSON.parse(
    Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString(),
  )
  expect(challenge.resource.url).toBe(`${gateway.url}/v1/weather/paris`)
  expect(challenge.accepts[0].payTo).toBe(seller.address)
})
