import { x402Client as AxiosClient, wrapAxiosWithPayment } from '@x402/axios'
import { x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch'
import axios from 'axios'
import { createWalletClient, http } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withPaymentInterceptor } from 'x402-axios'
import { decodeXPaymentResponse, wrapFetchWithPayment as wrapFetchWithPaymentV1 } from 'x402-fetch'
import { buyer, seller } from '../support/accounts.ts'
import { viemChain } from '../support/chain.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly receipt: string | undefined
}

/** Buyers as npm has them, unmodified, against a real chain. */
interface Buyer {
  readonly name: string
  /** Fetches a URL, or posts JSON to it, paying when asked. */
  ask(url: string, json?: string): Promise<Answer>
  decodeReceipt(header: string): { success: boolean; transaction: string; network: string }
  readonly network: string
}

let world: World
let gateway: TestGateway

beforeAll(async () => {
  world = await startWorld()
  await world.chain.mint(buyer.address, 100_000_000n)
  const routes = '\n  POST /v1/long-report: {price: $0.01, rewrite: /v1/report}'
  gateway = await startTestGateway(weatherYaml(world, { routes }))
})

afterAll(async () => {
  await gateway.close()
  await world.close()
})

const evmClient = (): x402Client =>
  x402Client.fromConfig({
    schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }],
  })

// The version 1 clients know Base Sepolia by its chain id alone.
const walletV1 = () =>
  createWalletClient({
    account: buyer,
    chain: viemChain(world.chain.rpcUrl, 84532),
    transport: http(world.chain.rpcUrl),
  })

const buyers: Buyer[] = [
  {
    name: '@x402/fetch (v2)',
    network: 'eip155:84532',
    async ask(url, json) {
      const response = await wrapFetchWithPayment(fetch, evmClient())(url, initFor(json))
      const receipt = response.headers.get('payment-response') ?? undefined
      return { status: response.status, body: await response.text(), receipt }
    },
    decodeReceipt: decodePaymentResponseHeader,
  },
  {
    name: '@x402/axios (v2)',
    network: 'eip155:84532',
    async ask(url, json) {
      // It brings an older @x402/core of its own, whose types are not those of 2.27.
      const client = new AxiosClient().register('eip155:*', new ExactEvmScheme(buyer) as never)
      const paying = wrapAxiosWithPayment(axios.create(), client)
      const response = await paying(url, optionsFor(json))
      return {
        status: response.status,
        body: asText(response.data),
        receipt: response.headers['payment-response'],
      }
    },
    decodeReceipt: decodePaymentResponseHeader,
  },
  {
    name: 'x402-fetch (v1)',
    network: 'base-sepolia',
    async ask(url, json) {
      const response = await wrapFetchWithPaymentV1(fetch, walletV1() as never)(url, initFor(json))
      const receipt = response.headers.get('x-payment-response') ?? undefined
      return { status: response.status, body: await response.text(), receipt }
    },
    decodeReceipt: decodeXPaymentResponse,
  },
  {
    name: 'x402-axios (v1)',
    network: 'base-sepolia',
    async ask(url, json) {
      const paying = withPaymentInterceptor(axios.create(), walletV1() as never)
      const response = await paying(url, optionsFor(json))
      return {
        status: response.status,
        body: asText(response.data),
        receipt: response.headers['x-payment-response'],
      }
    },
    decodeReceipt: decodeXPaymentResponse,
  },
]

const JSON_TYPE = { 'content-type': 'application/json' }

function initFor(json: string | undefined): RequestInit {
  return json === undefined ? {} : { method: 'POST', body: json, headers: JSON_TYPE }
}

function optionsFor(json: string | undefined) {
  return json === undefined ? {} : { method: 'post', data: json, headers: JSON_TYPE }
}

function asText(data: unknown): string {
  return typeof data === 'string' ? data : JSON.stringify(data)
}

describe.each(buyers)('an unmodified $name buyer', one => {
  test('pays for JSON, and the money is on the chain', async () => {
    const before = await world.chain.balanceOf(seller.address)
    const { status, body, receipt } = await one.ask(`${gateway.url}/v1/weather/paris`)
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ city: 'paris' })
    expect(await world.chain.balanceOf(seller.address)).toBe(before + 1_000n)
    const settled = one.decodeReceipt(receipt ?? '')
    expect(settled).toMatchObject({ success: true, network: one.network })
    const hash = settled.transaction as `0x${string}` // the receipt of a real transaction
    const onChain = await world.chain.publicClient.getTransactionReceipt({ hash })
    expect(onChain.status).toBe('success')
  })

  test('pays for an event stream, and gets every event', async () => {
    const before = await world.chain.balanceOf(seller.address)
    const { status, body } = await one.ask(`${gateway.url}/v1/forecast/oslo/stream`)
    expect(status).toBe(200)
    expect(body.match(/^data: /gm)).toHaveLength(5)
    expect(await world.chain.balanceOf(seller.address)).toBe(before + 10_000n)
  })

  test('hears the price of an upload that is longer than it takes to be told, and pays', async () => {
    const before = await world.chain.balanceOf(seller.address)
    const text = 'x'.repeat(5_000_000)
    const json = JSON.stringify({ text })
    const { status, body } = await one.ask(`${gateway.url}/v1/long-report`, json)
    expect(status).toBe(201)
    expect(body).toContain(text)
    expect(await world.chain.balanceOf(seller.address)).toBe(before + 10_000n)
  })

  test('is not charged when the API fails', async () => {
    const before = await world.chain.balanceOf(seller.address)
    const status = await one.ask(`${gateway.url}/v1/broken`).then(
      reply => reply.status,
      error => error.response?.status,
    )
    expect(status).toBe(500)
    expect(await world.chain.balanceOf(seller.address)).toBe(before)
  })
})
