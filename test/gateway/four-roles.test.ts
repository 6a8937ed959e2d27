import { x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import {
  type ServedFacilitator,
  SHOP_KEY,
  startServedFacilitator,
} from '../support/served-facilitator.ts'
import { startWeatherApi, type WeatherApi } from '../support/weather-api.ts'

let chain: Chain
let api: WeatherApi
let facilitator: ServedFacilitator
let gateway: TestGateway

beforeAll(async () => {
  chain = await startChain()
  await chain.mint(buyer.address, 1_000_000n)
  api = await startWeatherApi()
  facilitator = await startServedFacilitator(chain)
  gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: [{url: "${facilitator.url}", headers: {authorization: "Bearer ${SHOP_KEY}"}}]
upstreams: {weather: {url: "${api.url}"}}
routes:
  GET /v1/weather/{city}: $0.001
`)
})
afterAll(async () => {
  await gateway.close()
  await facilitator.close()
  await api.close()
  await chain.close()
})

test('an official buyer pays a gateway of ours through a facilitator of ours', async () => {
  const client = x402Client.fromConfig({
    schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }],
  })
  const before = await chain.balanceOf(seller.address)
  const response = await wrapFetchWithPayment(fetch, client)(`${gateway.url}/v1/weather/paris`)
  expect(response.status).toBe(200)
  const receipt = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')
  expect(receipt).toMatchObject({ success: true, network: 'eip155:84532' })
  expect(await chain.balanceOf(seller.address)).toBe(before + 1_000n)
  // The same transaction in both ledgers: one tells of the route, the other of the key.
  const { transaction } = receipt
  expect(facilitator.rows()).toEqual([
    { state: 'settled', route: 'shop', transaction_hash: transaction },
  ])
  await expect.poll(() => gateway.states()).toEqual(['delivered'])
})
