import { x402Client } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import { wrapFetchWithPayment } from '@x402/fetch'
import { createWalletClient, http } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wrapFetchWithPayment as wrapFetchWithPaymentV1 } from 'x402-fetch'
import { buyer, seller } from '../support/accounts.ts'
import { viemChain } from '../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'

let world: World

beforeAll(async () => {
  world = await startWorld()
  await world.chain.mint(buyer.address, 100_000_000n)
})

afterAll(() => world.close())

const payingV2 = () =>
  wrapFetchWithPayment(
    fetch,
    x402Client.fromConfig({
      schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(buyer) }],
    }),
  )

// The version 1 client knows Base Sepolia by its chain id alone.
const payingV1 = () => {
  const chain = viemChain(world.chain.rpcUrl, 84532)
  const transport = http(world.chain.rpcUrl)
  const wallet = createWalletClient({ account: buyer, chain, transport })
  return wrapFetchWithPaymentV1(fetch, wallet as never) // its viem is another
}

const buyers = [
  ['@x402/fetch (v2)', payingV2, 'payment-response'],
  ['x402-fetch (v1)', payingV1, 'x-payment-response'],
] as const

describe.each([
  ['v1 only', [1] as const, 1],
  ['v2 only', [2] as const, 2],
  ['both', [1, 2] as const, 2],
])('through a facilitator that speaks %s', (_, versions, spoken) => {
  let facilitator: ReferenceFacilitator
  let gateway: TestGateway

  beforeAll(async () => {
    facilitator = await startFacilitator({ chain: world.chain, versions })
    gateway = await startTestGateway(weatherYaml({ facilitator, api: world.api }))
  })
  afterAll(async () => {
    await gateway.close()
    await facilitator.close()
  })

  test.each(buyers)('an unmodified %s buyer pays', async (_name, paying, receiptHeader) => {
    facilitator.calls.verify.length = 0
    facilitator.calls.settle.length = 0
    const before = await world.chain.balanceOf(seller.address)
    const reply = await paying()(`${gateway.url}/v1/weather/paris`)
    expect(reply.status).toBe(200)
    expect(await reply.json()).toMatchObject({ city: 'paris' })
    expect(await world.chain.balanceOf(seller.address)).toBe(before + 1_000n)

    const text = Buffer.from(reply.headers.get(receiptHeader) ?? '', 'base64').toString()
    const receipt = JSON.parse(text)
    const hash = receipt.transaction as `0x${string}` // the chain checks it next
    const onChain = await world.chain.publicClient.getTransactionReceipt({ hash })
    expect([receipt.success, onChain.status]).toEqual([true, 'success'])
    for (const calls of [facilitator.calls.verify, facilitator.calls.settle]) {
      expect(calls.map(call => Object(call).x402Version)).toEqual([spoken])
    }
  })
})

test.each(buyers)(
  '%s: from a v1-only facilitator that is gone to a v2-only one',
  async (_, paying) => {
    const v1 = await startFacilitator({ chain: world.chain, versions: [1] })
    const v2 = await startFacilitator({ chain: world.chain, versions: [2] })
    const yaml = weatherYaml({ facilitator: v1, api: world.api })
    await using gateway = await startTestGateway(
      yaml.replace(`"${v1.url}"`, `"${v1.url}", "${v2.url}"`),
    )
    try {
      await v1.close()
      const before = await world.chain.balanceOf(seller.address)
      const reply = await paying()(`${gateway.url}/v1/weather/paris`)
      expect(reply.status).toBe(200)
      expect(await world.chain.balanceOf(seller.address)).toBe(before + 1_000n)
      expect(Object(v2.calls.settle[0]).x402Version).toBe(2)
    } finally {
      await v2.close()
    }
  },
)
