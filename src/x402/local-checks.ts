import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type { Offer, Payment } from '../core/payment.ts'
import type { Circumstances, FamilyChecks, LocalCheck, RefusalReason } from './check-outcome.ts'
import type { PresentedPayment } from './decode-payment.ts'
import { evmChecks } from './evm-checks.ts'
import { solanaChecks } from './solana-checks.ts'

/** The one place that tells kinds of networks apart. */
function checksOf(network: string): FamilyChecks {
  return network.startsWith('solana:') ? solanaChecks : evmChecks
}

/**
 * Refutes all that can be refuted without asking anybody: that it pays one of our offers, in full,
 * to us, in time. No facilitator's word outweighs a refusal.
 */
export function checkLocally(
  presented: PresentedPayment,
  offers: readonly Offer[],
  circumstances: Circumstances,
): LocalCheck {
  const meant = findOffers(presented, offers)
  if (!Array.isArray(meant)) return refused(meant, readWithoutOffer(presented, circumstances))
  const checks = meant.map(offer => checkAgainst(presented, offer, circumstances))
  const best =
    checks.find(check => check.kind === 'passed' && isRecovered(check)) ??
    checks.find(isRecovered) ??
    checks.find(check => check.kind === 'passed') ??
    checks.find(check => check.kind === 'stale') ??
    checks[0]
  return best ?? refused('invalid_payment_requirements', null)
}

/** Version 1 does not name the token: where several share a network, the signature tells which. */
function isRecovered(check: LocalCheck): boolean {
  return check.kind !== 'refused' && check.payment.signature === 'recovered'
}

function refused(reason: RefusalReason, payment: Payment | null): LocalCheck {
  return payment === null ? { kind: 'refused', reason } : { kind: 'stale', reason, payment }
}

function findOffers(
  presented: PresentedPayment,
  offers: readonly Offer[],
): Offer[] | RefusalReason {
  const { network, scheme, accepted } = presented
  const onNetwork = offers.filter(offer =>
    accepted === null ? offer.v1Network === network : offer.requirements.network === network,
  )
  if (onNetwork.length === 0) return 'invalid_network'
  const ofScheme = onNetwork.filter(offer => offer.requirements.scheme === scheme)
  if (ofScheme.length === 0) return 'unsupported_scheme'
  if (accepted === null) return ofScheme
  const { isSame } = checksOf(network)
  const exact = ofScheme.filter(
    ({ requirements }) =>
      isSame(requirements.asset, accepted.asset) &&
      isSame(requirements.payTo, accepted.payTo) &&
      requirements.amount === accepted.amount &&
      isGatewayWallet(requirements.extra) === isGatewayWallet(accepted.extra),
  )
  return exact.length === 0 ? 'invalid_payment_requirements' : exact
}

function checkAgainst(
  presented: PresentedPayment,
  offer: Offer,
  circumstances: Circumstances,
): LocalCheck {
  const checks = checksOf(offer.requirements.network)
  const read = checks.read(presented, offer, circumstances)
  if (read.kind === 'unreadable') return refused(read.reason, null)
  const reason = read.terms ?? read.time
  return reason === null ? { kind: 'passed', payment: read.payment } : refused(reason, read.payment)
}

/** Reads a payment for an offer that we do not make, or no longer, as the client tells of it. */
function readWithoutOffer(
  presented: PresentedPayment,
  circumstances: Circumstances,
): Payment | null {
  const { accepted, payload } = presented
  if (accepted === null) return null
  const checks = checksOf(accepted.network)
  const offer = checks.offerOf(accepted, payload)
  const read = offer && checks.read(presented, offer, circumstances)
  // What was signed decides, not what is said beside it: the upstream hears of both.
  return read?.kind === 'read' && read.terms === null ? read.payment : null
}
