import { expect, test } from 'vitest'
import { decodeChallenge } from '../../../src/cli/pay/challenge.ts'
import type { ChosenOffer } from '../../../src/cli/pay/choose-offer.ts'
import { signPayment } from '../../../src/cli/pay/sign.ts'
import { atomicAmount } from '../../../src/core/amount.ts'
import { declareIdentifier, readIdentifier } from '../../../src/x402/payment-identifier.ts'
import { buyer } from '../../support/accounts.ts'
import { base64 } from '../seller.ts'

const offer = {
  scheme: 'exact',
  network: 'eip155:84532',
  asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
  amount: '1000',
  payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
}

/** Signs the second of two offers with a limit in atomic units. */
async function sign(written: Record<string, unknown>, limit: bigint, extensions?: unknown) {
  const dearer = { ...offer, amount: '999999' }
  const header = base64({
    x402Version: 2,
    resource: { url: 'http://a' },
    accepts: [dearer, written],
    ...(extensions === undefined ? {} : { extensions }),
  })
  const decoded = decodeChallenge({ header, body: '' })
  const second = decoded.kind === 'challenge' ? decoded.challenge.offers[1] : undefined
  if (decoded.kind !== 'challenge' || second === undefined) throw new Error('The challenge is bad.')
  const chosen: ChosenOffer = {
    ...{ kind: 'chosen', offer: second, token: null, networkName: null },
    limit: atomicAmount(limit),
  }
  return signPayment(decoded.challenge, chosen, buyer)
}

test('the chosen offer is signed, and no other', async () => {
  const signed = await sign(offer, 1000n)
  if (signed.kind !== 'signed') throw new Error(signed.failure.message)
  const header = signed.headers['PAYMENT-SIGNATURE'] ?? ''
  const payment = JSON.parse(Buffer.from(header, 'base64').toString())
  expect(payment.accepted).toEqual(offer)
  expect(payment.payload.authorization).toMatchObject({
    ...{ from: buyer.address, to: offer.payTo, value: '1000' },
  })
})

test('a payment names what it buys where the seller can tell a retry by it', async () => {
  const declared = { ...declareIdentifier(true), other: { info: {} } }
  const signed = await sign(offer, 1000n, declared)
  if (signed.kind !== 'signed') throw new Error(signed.failure.message)
  const header = signed.headers['PAYMENT-SIGNATURE'] ?? ''
  const { extensions } = JSON.parse(Buffer.from(header, 'base64').toString())
  expect(readIdentifier(extensions)).toMatchObject({ kind: 'identifier' })
  expect(extensions.other).toEqual({ info: {} })
})

test.each([[[]], ['x'], [{ 'payment-identifier': 7 }]])(
  'extensions of %j are no hindrance',
  async odd => {
    expect(await sign(offer, 1000n, odd)).toMatchObject({ kind: 'signed' })
  },
)

test('an offer above the limit is not signed even when it was chosen by mistake', async () => {
  expect(await sign(offer, 999n)).toMatchObject({
    kind: 'failed',
    failure: { code: 'cannot_sign', exitCode: 1 },
  })
})

test("an offer without the token's signing domain cannot be signed, and says so", async () => {
  const signed = await sign({ ...offer, extra: {} }, 1000n)
  expect(signed).toMatchObject({
    failure: { code: 'cannot_sign', message: expect.stringContaining('EIP-712') },
  })
})
