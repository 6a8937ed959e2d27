import { gatewayWalletOf, isGatewayWallet, isSameWallet } from '../core/gateway-wallet.ts'
import type { PaymentRequirements } from '../core/payment.ts'
import type { KnownFacilitator, Supported, SupportedKind } from './facilitator.ts'
import type { V1Networks } from './v1-translation.ts'

/** The kind by which a facilitator takes such payments, in version 2 where it speaks both. */
export function kindFor(
  { kinds }: Supported,
  requirements: PaymentRequirements,
  v1Networks: V1Networks,
): SupportedKind | null {
  const { scheme, network } = requirements
  const sameScheme = kinds.filter(
    kind => kind.scheme === scheme && isFor(kind, requirements) && tellsEnough(kind, network),
  )
  const inV2 = sameScheme.find(kind => kind.x402Version === 2 && kind.network === network)
  if (inV2 !== undefined || !isSameInV1(requirements)) return inV2 ?? null
  const names = (kind: SupportedKind): boolean => v1Networks.networkOf(kind.network) === network
  return sameScheme.find(kind => kind.x402Version === 1 && names(kind)) ?? null
}

/** Services of both ways to pay advertise the same pair: the wallet tells them apart. */
function isFor(kind: SupportedKind, { extra }: PaymentRequirements): boolean {
  if (!isSameWallet(kind.extra, extra)) return false
  return !isGatewayWallet(extra) || gatewayWalletOf(kind.extra) !== null
}

/** On Solana nobody can sign without knowing who pays the fee. */
function tellsEnough({ extra = {} }: SupportedKind, network: string): boolean {
  return !network.startsWith('solana:') || typeof extra['feePayer'] === 'string'
}

/** Version 1 knows one scheme, and on EVM networks one way of signing for it. */
function isSameInV1({ scheme, extra }: PaymentRequirements): boolean {
  const isTokensOwn = extra['assetTransferMethod'] !== 'permit2' && !isGatewayWallet(extra)
  return scheme === 'exact' && isTokensOwn
}

/**
 * Members of `extra` by which a facilitator ties payments to itself: the payer signs for this one's
 * account, so nobody else can settle (x402 specification v2, schemes `exact` on SVM and `upto`), or
 * for the contract that it collects from (@circle-fin/x402-batching 3.3.0).
 */
const BINDING = ['feePayer', 'facilitatorAddress', 'verifyingContract'] as const

/**
 * What an offer must say so that its payments can be settled by this facilitator. Nothing else of a
 * kind's `extra` gets into an offer: some services advertise signing domains that are wrong.
 */
export function bind(
  requirements: PaymentRequirements,
  { extra = {} }: SupportedKind,
): PaymentRequirements {
  const own = BINDING.filter(name => name in extra && isBoundBy(name, requirements))
  if (own.length === 0) return requirements
  const added = Object.fromEntries(own.map(name => [name, extra[name]]))
  return { ...requirements, extra: { ...requirements.extra, ...added } }
}

function isBoundBy(name: (typeof BINDING)[number], requirements: PaymentRequirements): boolean {
  const { scheme, network, extra } = requirements
  switch (name) {
    case 'feePayer':
      return !network.startsWith('eip155:')
    case 'facilitatorAddress':
      return scheme === 'upto'
    case 'verifyingContract':
      return isGatewayWallet(extra)
  }
}

/** Whether a facilitator may have what is bound: it advertises the same values, or lately did. */
export function isBoundTo(
  { supported, earlier = [] }: KnownFacilitator,
  requirements: PaymentRequirements,
  v1Networks: V1Networks,
): boolean {
  const bound = BINDING.filter(name => name in requirements.extra)
  if (bound.length === 0) return true
  return [supported, ...earlier].some(said => {
    const advertised = kindFor(said, requirements, v1Networks)?.extra ?? {}
    return bound.every(name => advertised[name] === requirements.extra[name])
  })
}
