import { HTTPFacilitatorClient } from '@x402/core/http'
import { ExactEvmScheme } from '@x402/evm'
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/client'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { publicTestKey, seller } from './accounts.ts'
import { type Chain, startChain } from './chain.ts'
import {
  type FacilitatorOptions,
  type ReferenceFacilitator,
  startFacilitator,
} from './facilitator.ts'

const PRICE = 1_000n

let chain: Chain
let payer: ReturnType<typeof privateKeyToAccount>
let payers = 0
const running: ReferenceFacilitator[] = []

beforeAll(async () => {
  chain = await startChain()
})
afterAll(() => chain.close())
beforeEach(async () => {
  payers += 1
  payer = privateKeyToAccount(publicTestKey(`facilitator test ${payers}`))
  await chain.mint(payer.address, 100_000n)
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(facilitator => facilitator.close()))
})

async function start(options: Omit<FacilitatorOptions, 'chain'> = {}) {
  const facilitator = await startFacilitator({ chain, ...options })
  running.push(facilitator)
  return facilitator
}

/** What a gateway asks for, and how the official client for x402 v2 pays it. */
async function paymentV2() {
  const paymentRequirements = {
    scheme: 'exact',
    network: `eip155:${chain.chainId}` as const,
    amount: PRICE.toString(),
    asset: chain.token,
    payTo: seller.address,
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
  }
  const signed = await new ExactEvmScheme(payer).createPaymentPayload(2, paymentRequirements)
  const paymentPayload = { ...signed, accepted: paymentRequirements }
  return { x402Version: 2, paymentPayload, paymentRequirements }
}

async function paymentV1() {
  const paymentRequirements = {
    scheme: 'exact',
    network: 'base-sepolia',
    maxAmountRequired: PRICE.toString(),
    resource: 'http://127.0.0.1/v1/weather/paris',
    description: '',
    mimeType: 'application/json',
    payTo: seller.address,
    maxTimeoutSeconds: 60,
    asset: chain.token,
    extra: { name: 'USDC', version: '2' },
  }
  const client = new ExactEvmSchemeV1(payer)
  const paymentPayload = await client.createPaymentPayload(
    1,
    paymentRequirements as never, // the published type has only the v2 form
  )
  return { x402Version: 1, paymentPayload, paymentRequirements }
}

async function post(facilitator: ReferenceFacilitator, path: string, payment: unknown) {
  const response = await fetch(facilitator.url + path, {
    method: 'POST',
    body: JSON.stringify(payment),
  })
  const body = (await response.json()) as FacilitatorBody // the tests check what is in it
  return { status: response.status, body }
}

interface FacilitatorBody {
  readonly isValid?: boolean
  readonly success?: boolean
  readonly transaction: `0x${string}`
}

describe.each([
  ['v2', paymentV2, 'eip155:84532'],
  ['v1', paymentV1, 'base-sepolia'],
])('x402 %s', (_, pay, network) => {
  test('a payment of the official client is verified and settled to the last unit', async () => {
    const facilitator = await start()
    const payment = await pay()
    const before = await chain.balanceOf(seller.address)

    const verified = await post(facilitator, '/verify', payment)
    expect(verified).toEqual({ status: 200, body: { isValid: true, payer: payer.address } })
    expect(await chain.balanceOf(seller.address)).toBe(before)

    const settled = await post(facilitator, '/settle', payment)
    expect(settled.body).toMatchObject({ success: true, network, payer: payer.address })
    expect(await chain.balanceOf(seller.address)).toBe(before + PRICE)
    expect(await chain.balanceOf(payer.address)).toBe(100_000n - PRICE)
    const { transaction } = settled.body
    const receipt = await chain.publicClient.getTransactionReceipt({ hash: transaction })
    expect(receipt.status).toBe('success')
    expect(facilitator.calls).toEqual({ verify: [payment], settle: [payment], supported: 0 })
  })

  test('a payment that was settled is refused with the reason', async () => {
    const facilitator = await start()
    const payment = await pay()
    await post(facilitator, '/settle', payment)
    const again = await post(facilitator, '/verify', payment)
    expect(again.body).toMatchObject({
      isValid: false,
      invalidReason: 'invalid_exact_evm_nonce_already_used',
    })
    expect((await post(facilitator, '/settle', payment)).body.success).toBe(false)
    expect(await chain.balanceOf(payer.address)).toBe(100_000n - PRICE)
  })
})

test.each([
  [[1, 2] as const, ['2 exact eip155:84532', '1 exact base-sepolia']],
  [[1] as const, ['1 exact base-sepolia']],
  [[2] as const, ['2 exact eip155:84532']],
])('speaks only the versions %j', async (versions, kinds) => {
  const facilitator = await start({ versions })
  const supported = await new HTTPFacilitatorClient({ url: facilitator.url }).getSupported()
  const named = supported.kinds.map(kind => `${kind.x402Version} ${kind.scheme} ${kind.network}`)
  expect(named).toEqual(kinds)
  expect(facilitator.calls.supported).toBe(1)
})

test('does not understand a version that it does not speak', async () => {
  const facilitator = await start({ versions: [1] })
  const { status, body } = await post(facilitator, '/verify', await paymentV2())
  expect(status).toBe(500)
  expect(body).toEqual({ error: 'No facilitator registered for x402 version: 2' })
})

test('many settlements at once all land, each once', async () => {
  const facilitator = await start()
  const payments = await Promise.all(Array.from({ length: 20 }, paymentV2))
  const before = await chain.balanceOf(seller.address)
  const settled = await Promise.all(payments.map(payment => post(facilitator, '/settle', payment)))
  expect(settled.filter(({ body }) => body.success !== true)).toEqual([])
  expect(new Set(settled.map(({ body }) => body.transaction)).size).toBe(20)
  expect(await chain.balanceOf(seller.address)).toBe(before + 20n * PRICE)
})

test('of one payment settled twice at once, one lands', async () => {
  const facilitator = await start()
  const payment = await paymentV2()
  const settled = await Promise.all([
    post(facilitator, '/settle', payment),
    post(facilitator, '/settle', payment),
  ])
  expect(settled.filter(({ body }) => body.success === true)).toHaveLength(1)
  expect(await chain.balanceOf(payer.address)).toBe(100_000n - PRICE)
})

describe('intercept', () => {
  test('replaces an answer without doing the work', async () => {
    const facilitator = await start({
      intercept: (operation, next) =>
        operation === 'settle' ? Promise.resolve({ status: 503, body: 'busy' }) : next(),
    })
    const payment = await paymentV2()
    expect((await post(facilitator, '/verify', payment)).body.isValid).toBe(true)
    const response = await fetch(`${facilitator.url}/settle`, { method: 'POST', body: '{}' })
    expect([response.status, await response.text()]).toEqual([503, 'busy'])
    expect(await chain.balanceOf(payer.address)).toBe(100_000n)
  })

  test('does the work and then hangs up: the money moved and nobody was told', async () => {
    const facilitator = await start({
      async intercept(_, next) {
        await next()
        return 'hang-up'
      },
    })
    await expect(post(facilitator, '/settle', await paymentV2())).rejects.toThrow('fetch failed')
    expect(await chain.balanceOf(payer.address)).toBe(100_000n - PRICE)
  })
})

test('a settlement that is not mined in time is reported as pending', async () => {
  const slow = await startChain({ blockTimeSeconds: 60 })
  try {
    await slow.mint(payer.address, 100_000n)
    const facilitator = await startFacilitator({ chain: slow, confirmationTimeoutMs: 50 })
    running.push(facilitator)
    const settled = await post(facilitator, '/settle', await paymentV2())
    expect(settled.body).toMatchObject({ success: false, errorReason: 'settlement_pending' })
    expect(settled.body.transaction).toMatch(/^0x[0-9a-f]{64}$/)
    expect(await slow.balanceOf(payer.address)).toBe(100_000n)
  } finally {
    await slow.close()
  }
})
