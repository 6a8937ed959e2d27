import { ExactEvmScheme } from '@x402/evm'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPaymentEngine } from '../../src/x402/payment-engine.ts'
import { publicTestKey, seller } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../support/facilitator.ts'
import { check, createOffer, pay, signV2 } from '../x402/payments.ts'
import { connect, v1Networks } from './clients.ts'

const PRICE = 1_000n
const offer = createOffer({ amount: PRICE.toString() })
const { requirements } = offer

let chain: Chain
let payers = 0

beforeAll(async () => {
  chain = await startChain()
})
afterAll(() => chain.close())

async function createPayer() {
  payers += 1
  const payer = privateKeyToAccount(publicTestKey(`payer of the client's tests ${payers}`))
  await chain.mint(payer.address, PRICE)
  return payer
}

describe.each([
  ['v2', [2] as const],
  ['v1 only', [1] as const],
])('the reference facilitator, %s', (_, versions) => {
  let reference: ReferenceFacilitator
  let facilitator: ReturnType<typeof connect>

  beforeAll(async () => {
    reference = await startFacilitator({ chain, versions })
    facilitator = connect(reference.url)
    await facilitator.supported()
  })
  afterAll(async () => {
    await facilitator.close()
    await reference.close()
  })

  test('says what it supports', async () => {
    const network = versions[0] === 2 ? 'eip155:84532' : 'base-sepolia'
    expect((await facilitator.supported()).kinds).toMatchObject([
      { x402Version: versions[0], scheme: 'exact', network },
    ])
  })

  test('verifies and settles a payment: the money moves once, to the last unit', async () => {
    const payer = await createPayer()
    const payment = await pay(payer, offer)
    const before = await chain.balanceOf(seller.address)

    expect(await facilitator.verify(payment.payload, requirements)).toMatchObject({ isValid: true })
    expect(await chain.balanceOf(seller.address)).toBe(before)

    const settled = await facilitator.settle(payment.payload, requirements)
    expect(settled).toMatchObject({ success: true, network: 'eip155:84532' })
    const hash = settled.transaction as `0x${string}` // the chain checks it next
    expect((await chain.publicClient.getTransactionReceipt({ hash })).status).toBe('success')
    expect(await chain.balanceOf(seller.address)).toBe(before + PRICE)
    expect(await chain.balanceOf(payer.address)).toBe(0n)
    expect(Object(reference.calls.settle.at(-1)).x402Version).toBe(versions[0])
  })

  test('settles a payment that came in version 1', async () => {
    const payer = await createPayer()
    const { payload } = await signV2(payer, offer)
    const presented = { x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload }
    const checked = check(presented, [offer])
    if (checked.kind !== 'passed') throw new Error(checked.reason)
    const settled = await facilitator.settle(checked.payment.payload, requirements)
    expect(settled.success).toBe(true)
    expect(await chain.balanceOf(payer.address)).toBe(0n)
  })

  test('refuses what cannot be paid, and the engine hands on why', async () => {
    const poor = privateKeyToAccount(publicTestKey('has no money'))
    const payment = await pay(poor, offer)
    const supported = await facilitator.supported()
    const engine = await createPaymentEngine([{ facilitator, supported }], v1Networks)
    const reason = expect.stringMatching(/insufficient/)
    expect(await engine.verify(payment)).toEqual({ kind: 'invalid', reason })
    // The v1 scheme answers a settle with its chain client's words, and words prove nothing.
    expect(await engine.settle(payment)).toEqual(
      versions[0] === 2
        ? { kind: 'rejected', reason }
        : { kind: 'unknown', detail: expect.not.stringMatching(/0x|\n/), transaction: null },
    )
  })

  test('settles through the engine, and a second time proves nothing', async () => {
    const payer = await createPayer()
    const payment = await pay(payer, offer)
    const supported = await facilitator.supported()
    const engine = await createPaymentEngine([{ facilitator, supported }], v1Networks)
    expect(await engine.verify(payment)).toEqual({ kind: 'valid' })
    expect(await engine.settle(payment)).toMatchObject({
      kind: 'settled',
      receipt: { network: 'eip155:84532', payer: payer.address, amount: PRICE },
    })
    expect(await chain.balanceOf(payer.address)).toBe(0n)
    // The chain has the money; whoever takes this for a refusal asks for it twice.
    expect((await engine.settle(payment)).kind).toBe('unknown')
  })

  test('verifies the payment of a smart wallet, whose signature we cannot recover', async () => {
    const owner = await createPayer()
    const wallet = privateKeyToAccount(publicTestKey(`smart wallet ${payers}`)).address
    await chain.deployWallet(wallet, owner.address)
    await chain.mint(wallet, PRICE)
    const signer = { address: wallet, signTypedData: owner.signTypedData }
    const accepted = { ...requirements, extra: { ...requirements.extra } }
    const { payload } = await new ExactEvmScheme(signer).createPaymentPayload(2, accepted)
    const checked = check({ x402Version: 2, accepted, payload }, [offer])
    if (checked.kind !== 'passed') throw new Error(checked.reason)
    expect(checked.payment).toMatchObject({ payer: wallet, signature: 'not-recovered' })
    const verdict = await facilitator.verify(checked.payment.payload, requirements)
    expect(verdict).toMatchObject({ isValid: true })
  })
})

test('a settlement that is not mined in time is unknown, with its transaction, and sent once', async () => {
  const slow = await startChain({ blockTimeSeconds: 60 })
  const reference = await startFacilitator({ chain: slow, confirmationTimeoutMs: 50 })
  const facilitator = connect(reference.url)
  try {
    const payer = privateKeyToAccount(publicTestKey('waits for a block'))
    await slow.mint(payer.address, PRICE)
    const supported = await facilitator.supported()
    const engine = await createPaymentEngine([{ facilitator, supported }], v1Networks)
    expect(await engine.settle(await pay(payer, offer))).toMatchObject({
      kind: 'unknown',
      transaction: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    })
    expect(reference.calls.settle).toHaveLength(1)
  } finally {
    await facilitator.close()
    await reference.close()
    await slow.close()
  }
})

test('a facilitator that settles and hangs up leaves a settlement unknown', async () => {
  const reference = await startFacilitator({
    chain,
    async intercept(operation, next) {
      const answer = await next()
      return operation === 'settle' ? 'hang-up' : answer
    },
  })
  const facilitator = connect(reference.url)
  try {
    const payer = await createPayer()
    const supported = await facilitator.supported()
    const engine = await createPaymentEngine([{ facilitator, supported }], v1Networks)
    const settlement = await engine.settle(await pay(payer, offer))
    expect(settlement).toMatchObject({ kind: 'unknown', transaction: null })
    expect(await chain.balanceOf(payer.address)).toBe(0n)
    expect(reference.calls.settle).toHaveLength(1)
  } finally {
    await facilitator.close()
    await reference.close()
  }
})
