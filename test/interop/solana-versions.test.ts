import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ReferenceFacilitator } from '../support/facilitator.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { codeOf, pay, readReceipt } from '../support/payments.ts'
import { SOLANA_IDS, SOLANA_USDC, type SolanaChain } from '../support/solana-chain.ts'
import { verifyingWithV1Module } from '../support/solana-v1-module.ts'
import {
  feePayer,
  payingOnSolana,
  payingOnSolanaV1,
  type SolanaWorld,
  signOnSolana,
  solanaBuyer,
  solanaSeller,
  solanaYaml,
  startSolanaFacilitator,
  startSolanaWorld,
} from '../support/solana-world.ts'

/** USDC as each network has it (config/networks.yaml). */
const MINTS = {
  solana: 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v',
  'solana-devnet': SOLANA_USDC,
} as const

const buyers = [
  ['x402-fetch (v1)', 1, payingOnSolanaV1],
  ['@x402/fetch (v2)', 2, (chain: SolanaChain) => payingOnSolana(chain)],
] as const

let world: SolanaWorld

beforeAll(async () => {
  world = await startSolanaWorld()
  world.chain.addMint(MINTS.solana)
  world.chain.fund(solanaBuyer.address, 1_000_000_000n, MINTS.solana)
  world.chain.fund(solanaSeller.address, 0n, MINTS.solana)
})

afterAll(() => world.close())

// What version 1 signs has nothing of its own in it but the blockhash.
beforeEach(() => world.chain.expireBlockhash())

describe.each([
  ['solana-devnet', 1],
  ['solana-devnet', 2],
  ['solana', 1],
  ['solana', 2],
] as const)('on %s through a facilitator that speaks v%s only', (network, spoken) => {
  /** What this version calls the network. */
  const named = { 1: network, 2: SOLANA_IDS[network] }
  const earned = () => world.chain.balanceOf(solanaSeller.address, MINTS[network])
  let facilitator: ReferenceFacilitator
  let gateway: TestGateway

  beforeAll(async () => {
    facilitator = await startSolanaFacilitator(world.chain, { versions: [spoken], network })
    gateway = await startTestGateway(solanaYaml({ ...world, facilitator }, { network }))
  })
  afterAll(async () => {
    await gateway.close()
    await facilitator.close()
  })
  beforeEach(() => {
    facilitator.calls.verify.length = 0
    facilitator.calls.settle.length = 0
  })

  test('nothing else is listed there, and both versions of the 402 say who pays the fee', async () => {
    const { kinds } = Object(await (await fetch(`${facilitator.url}/supported`)).json())
    expect(kinds).toMatchObject([{ x402Version: spoken, scheme: 'exact', network: named[spoken] }])
    const reply = await fetch(`${gateway.url}/v1/weather/paris`)
    const header = Buffer.from(reply.headers.get('payment-required') ?? '', 'base64').toString()
    for (const [version, challenge] of [
      [1, await reply.json()],
      [2, JSON.parse(header)],
    ] as const) {
      const { accepts } = Object(challenge)
      expect(accepts).toMatchObject([
        { network: named[version], asset: MINTS[network], extra: { feePayer: feePayer.address } },
      ])
    }
  })

  test.each(buyers)('an unmodified %s buyer pays', async (_, version, payingOn) => {
    const before = earned()
    const paying = await payingOn(world.chain, network)
    const reply = await paying(`${gateway.url}/v1/weather/paris`)
    expect([reply.status, await reply.json()]).toMatchObject([200, { city: 'paris' }])
    expect(earned()).toBe(before + 1_000n)
    expect(readReceipt(reply)).toEqual({
      success: true,
      network: named[version],
      payer: solanaBuyer.address,
      transaction: world.chain.executed[0]?.signature,
    })
    const presented = { scheme: 'exact', network: named[spoken] }
    for (const calls of [facilitator.calls.verify, facilitator.calls.settle]) {
      expect(calls).toMatchObject([
        {
          x402Version: spoken,
          paymentPayload: spoken === 1 ? presented : { accepted: presented },
          paymentRequirements: { ...presented, extra: { feePayer: feePayer.address } },
        },
      ])
    }
  })
})

describe('through a facilitator that runs the own module of version 1', () => {
  let facilitator: ReferenceFacilitator
  let gateway: TestGateway

  beforeAll(async () => {
    const intercept = verifyingWithV1Module(world.chain)
    facilitator = await startSolanaFacilitator(world.chain, { versions: [1], intercept })
    gateway = await startTestGateway(solanaYaml({ ...world, facilitator }))
  })
  afterAll(async () => {
    await gateway.close()
    await facilitator.close()
  })

  test('a v1 buyer pays', async () => {
    const before = world.earned()
    const reply = await (await payingOnSolanaV1(world.chain))(`${gateway.url}/v1/weather/paris`)
    expect(reply.status).toBe(200)
    expect(world.earned()).toBe(before + 1_000n)
  })

  test('what a v1 buyer signs twice on one blockhash is one payment', async () => {
    const paying = await payingOnSolanaV1(world.chain)
    const url = `${gateway.url}/v1/weather/paris`
    const before = world.earned()
    expect((await paying(url)).status).toBe(200)
    const again = await paying(url)
    expect([again.status, await codeOf(again)]).toEqual([409, 'payment_already_used'])
    expect(world.earned()).toBe(before + 1_000n)
    world.chain.expireBlockhash()
    expect((await paying(url)).status).toBe(200)
  })

  test('a v2 buyer, whose memo it does not know, is told so before anything was done', async () => {
    const before = world.earned()
    world.api.requests.length = 0
    const payment = await signOnSolana(world.chain, `${gateway.url}/v1/weather/paris`)
    const reply = await pay(`${gateway.url}/v1/weather/paris`, payment)
    expect([reply.status, await codeOf(reply)]).toEqual([
      402,
      'invalid_exact_svm_payload_transaction_instructions_length',
    ])
    expect([world.earned(), world.api.requests]).toEqual([before, []])
  })
})
