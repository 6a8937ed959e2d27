import { afterAll, beforeAll, expect, test } from 'vitest'
import { buyer, FACILITATOR_PRIVATE_KEY, seller } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { pay, readReceipt, readRows, signFor } from '../support/payments.ts'
import { startWeatherApi, type WeatherApi } from '../support/weather-api.ts'

let chain: Chain
let api: WeatherApi
let gateway: TestGateway

const yaml = (maxFeePerGas: string): string => `
server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators:
  - local:
      networks: {base-sepolia: {rpc: "${chain.rpcUrl}", maxFeePerGas: ${maxFeePerGas}}}
      key: "${FACILITATOR_PRIVATE_KEY}"
upstreams: {weather: {url: "${api.url}"}}
routes:
  GET /v1/weather/{city}: $0.001
`

beforeAll(async () => {
  chain = await startChain({ blockTimeSeconds: 1 })
  api = await startWeatherApi()
  gateway = await startTestGateway(yaml('50gwei'))
  await chain.mint(buyer.address, 1_000_000n)
})
afterAll(async () => {
  await gateway.close()
  await api.close()
  await chain.close()
})

const url = (): string => `${gateway.url}/v1/weather/paris`
const buy = async (): Promise<Response> => pay(url(), await signFor(chain, url()))

test('a gateway without a facilitator sells, and its key is told to nobody', async () => {
  const before = await chain.balanceOf(seller.address)
  const responses = await Promise.all(Array.from({ length: 6 }, buy))
  expect(responses.map(({ status }) => status)).toEqual(Array(6).fill(200))
  const receipts = responses.map(readReceipt)
  expect(new Set(receipts.map(receipt => receipt?.transaction)).size).toBe(6)
  expect(await chain.balanceOf(seller.address)).toBe(before + 6_000n)
  const states = (): string[] => readRows(gateway.storeFile).map(({ state }) => state)
  await expect.poll(states).toEqual(Array(6).fill('delivered'))

  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  expect(metrics).toMatch(/farebox_gas_balance_coins\{network="eip155:84532",address="0x\w+"\} \d/)
  const told = metrics + JSON.stringify(gateway.logs)
  expect(told).not.toContain(FACILITATOR_PRIVATE_KEY.slice(2))
  expect(told).not.toContain(chain.rpcUrl)
})

test('a reload in the middle of settlements loses none and gives out no nonce twice', async () => {
  const before = await chain.balanceOf(seller.address)
  const early = Array.from({ length: 4 }, buy)
  await gateway.write(yaml('40gwei'))
  expect(await gateway.reload()).toEqual({ kind: 'reloaded' })
  const late = Array.from({ length: 4 }, buy)
  const responses = await Promise.all([...early, ...late])
  expect(responses.map(({ status }) => status)).toEqual(Array(8).fill(200))
  expect(await chain.balanceOf(seller.address)).toBe(before + 8_000n)
})
