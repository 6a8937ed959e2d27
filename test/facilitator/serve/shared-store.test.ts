import { parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FACILITATOR_PRIVATE_KEY, publicTestKey } from '../../support/accounts.ts'
import { type Chain, startChain } from '../../support/chain.ts'
import { startPostgres, type TestPostgres } from '../../support/postgres.ts'
import {
  type ServedFacilitator,
  SHOP_KEY,
  startServedFacilitator,
} from '../../support/served-facilitator.ts'
import { createOffer, paymentOf } from '../../x402/payments.ts'
import { settleBodyV1, settleBodyV2 } from './bodies.ts'

/** Two machines: one store, and a journal and a funded key each. */
const KEYS = [FACILITATOR_PRIVATE_KEY, publicTestKey('second facilitator')] as const
const offer = createOffer({ amount: '1000' })

let chain: Chain
let postgres: TestPostgres
let store: string
let services: ServedFacilitator[] = []

beforeAll(async () => {
  ;[chain, postgres] = await Promise.all([startChain({ blockTimeSeconds: 1 }), startPostgres()])
  store = await postgres.createSchema('served')
  const balance = `0x${parseEther('1').toString(16)}`
  const params = [privateKeyToAccount(KEYS[1]).address, balance]
  await chain.publicClient.request({ method: 'anvil_setBalance', params } as never) // viem has no name for it
  services = await Promise.all(
    KEYS.map(signingKey => startServedFacilitator(chain, { signingKey, store })),
  )
}, 60_000)
afterAll(async () => {
  await Promise.all(services.map(service => service.close()))
  await Promise.all([chain.close(), postgres.close()])
})

async function sentCount(): Promise<number> {
  const counts = KEYS.map(key =>
    chain.publicClient.getTransactionCount({
      address: privateKeyToAccount(key).address,
      blockTag: 'pending',
    }),
  )
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

async function settle(service: ServedFacilitator | undefined, body: object) {
  const headers = { authorization: `Bearer ${SHOP_KEY}` }
  const init = { method: 'POST', headers, body: JSON.stringify(body) }
  const response = await fetch(`${service?.url}/settle`, init)
  return { status: response.status, said: await response.json() }
}

test.each([
  ['2 and 2', settleBodyV2, settleBodyV2],
  ['1 and 1', settleBodyV1, settleBodyV1],
  ['1 and 2', settleBodyV1, settleBodyV2],
])(
  'asked of both at once in versions %s, one payment makes one transaction',
  async (_, first, second) => {
    const payer = privateKeyToAccount(generatePrivateKey())
    await chain.mint(payer.address, 5_000n)
    const payment = await paymentOf(payer, offer)
    const before = await sentCount()
    const answers = await Promise.all(
      [first, second].map((bodyOf, index) =>
        settle(services[index], bodyOf(payment, offer.requirements)),
      ),
    )
    const { transaction } = Object(answers[0]?.said)
    const settled = { status: 200, said: { success: true, transaction } }
    expect(answers).toMatchObject([settled, settled])
    expect(transaction).toMatch(/^0x[0-9a-f]{64}$/)
    expect(await sentCount()).toBe(before + 1)
    expect(await chain.balanceOf(payer.address)).toBe(4_000n)
  },
)
