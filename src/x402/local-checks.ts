import { atomicAmount } from '../core/amount.ts'
import { isGatewayWallet } from '../core/gateway-wallet.ts'
import { type Offer, type Payment, paymentKey } from '../core/payment.ts'
import { checksumAddress } from './address.ts'
import type { PresentedPayment } from './decode-payment.ts'
import { recoverSigner } from './eip712.ts'
import { eip3009, gatewayWallet } from './eip3009.ts'
import { permit2 } from './permit2.ts'
import type { SignedTransfer, TransferMethod } from './signed-transfer.ts'
import { evmAddress } from './wire.ts'

/** Why a payment is refused without asking anybody (x402 specification v2, "Error codes"). */
export type RefusalReason =
  | 'invalid_network'
  | 'unsupported_scheme'
  | 'invalid_payment_requirements'
  | 'invalid_payload'
  | 'invalid_exact_evm_payload_recipient_mismatch'
  | 'invalid_exact_evm_payload_authorization_value'
  | 'invalid_exact_evm_payload_authorization_valid_after'
  | 'invalid_exact_evm_payload_authorization_valid_before'

export type LocalCheck =
  | { readonly kind: 'passed'; readonly payment: Payment }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  /**
   * Refused as well, unless the ledger knows it: it may have been taken in time and at the price of
   * then, and its settlement be pending or its response still owed.
   */
  | { readonly kind: 'stale'; readonly reason: RefusalReason; readonly payment: Payment }

interface Circumstances {
  /** Ours, not what the client says: it goes to facilitators, who index it. */
  readonly resourceUrl: string
  /** Unix seconds. */
  readonly nowSeconds: number
  /** How long the payment must still be good for: the upstream's time-out, and a settlement. */
  readonly headroomSeconds: number
}

const TRANSFER_METHODS: Record<Offer['transferMethod'], TransferMethod> = {
  eip3009,
  permit2,
  'gateway-wallet': gatewayWallet,
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
  const exact = ofScheme.filter(
    ({ requirements }) =>
      requirements.asset.toLowerCase() === accepted.asset.toLowerCase() &&
      requirements.payTo.toLowerCase() === accepted.payTo.toLowerCase() &&
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
  const transfer = TRANSFER_METHODS[offer.transferMethod].read(presented.payload, offer)
  if (transfer === null) return refused('invalid_payload', null)
  const reason = refute(transfer, offer, circumstances)
  const payment = toPayment(presented, { offer, transfer, circumstances })
  return reason === null ? { kind: 'passed', payment } : refused(reason, payment)
}

/** Reads a payment for an offer that we do not make, or no longer, as the client tells of it. */
function readWithoutOffer(
  presented: PresentedPayment,
  circumstances: Circumstances,
): Payment | null {
  const { accepted, payload } = presented
  if (accepted === null || !/^eip155:[1-9]\d{0,17}$/.test(accepted.network)) return null
  if (!evmAddress.safeParse(accepted.asset).success) return null
  const offer: Offer = {
    requirements: accepted,
    amount: atomicAmount(BigInt(accepted.amount)),
    symbol: accepted.asset,
    decimals: 0,
    transferMethod: methodOf(accepted, payload),
    v1Network: null,
  }
  const transfer = TRANSFER_METHODS[offer.transferMethod].read(payload, offer)
  // What was signed decides, not what is said beside it: the upstream hears of both.
  if (transfer === null || refuteTerms(transfer, offer) !== null) return null
  return toPayment(presented, { offer, transfer, circumstances })
}

function methodOf(
  { extra }: Offer['requirements'],
  payload: Readonly<Record<string, unknown>>,
): Offer['transferMethod'] {
  if (isGatewayWallet(extra)) return 'gateway-wallet'
  return 'permit2Authorization' in payload ? 'permit2' : 'eip3009'
}

function refute(
  transfer: SignedTransfer,
  offer: Offer,
  circumstances: Circumstances,
): RefusalReason | null {
  const { nowSeconds, headroomSeconds } = circumstances
  const reason = refuteTerms(transfer, offer)
  if (reason !== null) return reason
  if (transfer.validAfter > BigInt(nowSeconds)) {
    return 'invalid_exact_evm_payload_authorization_valid_after'
  }
  if (transfer.validBefore < BigInt(nowSeconds + headroomSeconds)) {
    return 'invalid_exact_evm_payload_authorization_valid_before'
  }
  return null
}

/** Whether what was signed is what the offer asks for: receiver, token and amount. */
function refuteTerms(transfer: SignedTransfer, offer: Offer): RefusalReason | null {
  const { requirements } = offer
  if (transfer.payTo !== requirements.payTo.toLowerCase()) {
    return 'invalid_exact_evm_payload_recipient_mismatch'
  }
  if (transfer.asset !== null && transfer.asset !== requirements.asset.toLowerCase()) {
    return 'invalid_payment_requirements'
  }
  if (transfer.amount !== offer.amount) return 'invalid_exact_evm_payload_authorization_value'
  return null
}

function toPayment(
  presented: PresentedPayment,
  read: {
    readonly offer: Offer
    readonly transfer: SignedTransfer
    readonly circumstances: Circumstances
  },
): Payment {
  const { offer, transfer, circumstances } = read
  const signer = recoverSigner(transfer.digest(offer), transfer.signature)
  return {
    key: paymentKey(offer.requirements.network, ...transfer.uniqueBy),
    payer: checksumAddress(transfer.payer),
    offer,
    payload: {
      x402Version: 2,
      resource: { url: circumstances.resourceUrl },
      accepted: offer.requirements,
      payload: transfer.payload,
      extensions: presented.extensions,
    },
    identifier: presented.identifier,
    validBefore: Number(transfer.validBefore > FAR_FUTURE ? FAR_FUTURE : transfer.validBefore),
    signature: signer === transfer.payer ? 'recovered' : 'not-recovered',
  }
}

/** Year 9999 in Unix seconds: keeps a uint256 within what a number carries exactly. */
const FAR_FUTURE = 253_402_300_799n
