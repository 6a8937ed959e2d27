import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { expect, test } from 'vitest'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { startChain } from '../../support/chain.ts'
import { startLocalFacilitator } from '../../support/local-facilitator.ts'
import { createOffer, paymentOf } from '../../x402/payments.ts'

const PRICE = 1_000n
/** FAREBOX_SETTLEMENTS=1000 makes it a measurement. */
const COUNT = Number(process.env['FAREBOX_SETTLEMENTS'] ?? 100)

test('one key settles many payments at once, one transaction for each', async () => {
  const chain = await startChain({ blockTimeSeconds: 1 })
  const facilitator = await startLocalFacilitator(chain, { settleTimeoutMs: 120_000 })
  try {
    const payer = privateKeyToAccount(generatePrivateKey())
    await chain.mint(payer.address, PRICE * BigInt(COUNT))
    const offer = createOffer({ amount: PRICE.toString(), maxTimeoutSeconds: 3_600 })
    const payments = await Promise.all(Array.from({ length: COUNT }, () => paymentOf(payer, offer)))
    await facilitator.supported()
    const startedAt = performance.now()
    const cpuBefore = process.cpuUsage()
    const answers = await Promise.all(
      payments.map(payment => facilitator.settle(payment, offer.requirements)),
    )
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    const cpuMs = (user + system) / 1000 / COUNT
    process.stdout.write(
      `${COUNT} settlements by one key in ${seconds.toFixed(1)} s: ` +
        `${Math.round(COUNT / seconds)} a second, ${cpuMs.toFixed(1)} ms of our CPU for each\n`,
    )
    expect(answers.filter(({ success }) => success)).toHaveLength(COUNT)
    expect(await chain.balanceOf(seller.address)).toBe(PRICE * BigInt(COUNT))
    const { address } = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
    expect(await chain.publicClient.getTransactionCount({ address })).toBe(COUNT)
  } finally {
    await facilitator.close()
    await chain.close()
  }
}, 180_000)
