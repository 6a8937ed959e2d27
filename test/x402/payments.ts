import { ExactEvmScheme } from '@x402/evm'
import type { LocalAccount } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { atomicAmount } from '../../src/core/amount.ts'
import type {
  NetworkId,
  Offer,
  Payment,
  PaymentPayload,
  PaymentRequirements,
} from '../../src/core/payment.ts'
import type { LocalCheck } from '../../src/x402/check-outcome.ts'
import { type DecodedPayment, decodePayment } from '../../src/x402/decode-payment.ts'
import { checkLocally } from '../../src/x402/local-checks.ts'
import { publicTestKey, seller } from '../support/accounts.ts'
import { TOKEN_ADDRESS } from '../support/chain.ts'

export const NETWORK: NetworkId = 'eip155:84532'
/** Another token's address; nothing is there on any chain. */
export const OTHER_TOKEN = privateKeyToAccount(publicTestKey('address of another token')).address

/** A thousandth of a test dollar on Base Sepolia; `change` replaces what a test cares about. */
export function createOffer(
  change: Partial<PaymentRequirements> & Partial<Pick<Offer, 'transferMethod' | 'v1Network'>> = {},
): Offer {
  const { transferMethod = 'eip3009', v1Network = 'base-sepolia', ...changed } = change
  const requirements = {
    scheme: 'exact',
    network: NETWORK,
    amount: '1000',
    asset: TOKEN_ADDRESS,
    payTo: seller.address,
    maxTimeoutSeconds: 60,
    extra: { name: 'USDC', version: '2' },
    ...changed,
  }
  const amount = atomicAmount(BigInt(requirements.amount))
  return { requirements, amount, symbol: 'USDC', decimals: 6, transferMethod, v1Network }
}

/** For tokens without EIP-3009, as the configuration offers them. */
export function createPermit2Offer(change: Partial<PaymentRequirements> = {}): Offer {
  const extra = { name: 'USDC', version: '2', assetTransferMethod: 'permit2' }
  return createOffer({ extra, ...change, transferMethod: 'permit2' })
}

/** What the official v2 client signs for an offer, with the offer that it accepted. */
export async function signV2(signer: LocalAccount, offer: Offer): Promise<SignedV2> {
  const client = new ExactEvmScheme(signer)
  const { requirements } = offer
  const accepted = { ...requirements, extra: { ...requirements.extra } }
  const signed = await client.createPaymentPayload(2, accepted)
  return structuredClone({ x402Version: 2, accepted, payload: signed.payload })
}

/** Loose on purpose: tests break it. */
export interface SignedV2 {
  x402Version: number
  accepted: Record<string, unknown>
  payload: Record<string, unknown>
}

export function toHeader(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64')
}

/** Decodes headers given as names and values in turn. */
export function decodeHeaders(...headers: [name: string, value: string][]): DecodedPayment {
  return decodePayment(name =>
    headers.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value),
  )
}

/** From the wire to the local check, as a request goes. */
export function check(
  payload: unknown,
  offers: readonly Offer[],
  time: Partial<Parameters<typeof checkLocally>[2]> = {},
): LocalCheck {
  const decoded = decodeHeaders(['x-payment', toHeader(payload)])
  if (decoded.kind !== 'payment') throw new Error(`Not a payment: ${JSON.stringify(decoded)}`)
  return checkLocally(decoded.presented, offers, {
    nowSeconds: Math.floor(Date.now() / 1000),
    headroomSeconds: 10,
    resourceUrl: 'https://api.example.com/v1/weather/paris',
    ...time,
  })
}

/** A payment that has passed the local checks. */
export async function pay(signer: LocalAccount, offer: Offer): Promise<Payment> {
  const checked = check(await signV2(signer, offer), [offer])
  if (checked.kind !== 'passed') throw new Error(`Refused: ${checked.reason}`)
  return checked.payment
}

/** What the official client signs, in our form. `change` is what it is made to sign instead. */
export async function paymentOf(
  payer: Pick<LocalAccount, 'address' | 'signTypedData'>,
  { requirements }: Offer,
  change: Partial<Offer['requirements']> = {},
): Promise<PaymentPayload> {
  const signed = { ...requirements, ...change, extra: { ...requirements.extra } }
  const { payload } = await new ExactEvmScheme(payer as LocalAccount).createPaymentPayload(
    2,
    signed,
  ) // it signs typed data only
  const resource = { url: 'https://api.example.com/v1/weather/paris' }
  return { x402Version: 2, resource, accepted: requirements, payload }
}
