import { type AtomicAmount, atomicAmount } from '../core/amount.ts'
import type { NetworkId, Offer, Payment } from '../core/payment.ts'
import type { RefusalReason } from './check-outcome.ts'
import type { PresentedPayment, X402Version } from './decode-payment.ts'
import { checkLocally } from './local-checks.ts'
import { type JsonFlaw, parseStrictJson } from './strict-json.ts'
import { evmAddress, facilitatorRequestV1, facilitatorRequestV2 } from './wire.ts'

/** What a facilitator is asked to verify or to settle, whatever version it was written in. */
export interface FacilitatorRequest {
  readonly version: X402Version
  /** As the caller writes it: it is answered in kind. */
  readonly network: string
  readonly presented: PresentedPayment
  readonly terms: Terms
  readonly resourceUrl: string
}

interface Terms {
  readonly scheme: string
  readonly amount: AtomicAmount
  readonly asset: string
  readonly payTo: string
  readonly maxTimeoutSeconds: number
  readonly extra: Readonly<Record<string, unknown>>
}

export type DecodedRequest =
  | { readonly kind: 'request'; readonly request: FacilitatorRequest }
  | { readonly kind: 'malformed'; readonly reason: JsonFlaw | 'unknown-version' | 'wrong-shape' }

const JSON_DEPTH_MAX = 16
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads the body of `/verify` or `/settle`. Never throws. */
export function decodeFacilitatorRequest(body: Uint8Array): DecodedRequest {
  const text = decodeText(body)
  if (text === null) return { kind: 'malformed', reason: 'not-json' }
  const json = parseStrictJson(text, JSON_DEPTH_MAX)
  if (json.kind === 'flawed') return { kind: 'malformed', reason: json.flaw }
  const { value } = json
  const version = typeof value === 'object' && value !== null && 'x402Version' in value
  if (!version || (value.x402Version !== 1 && value.x402Version !== 2)) {
    return { kind: 'malformed', reason: 'unknown-version' }
  }
  const request = value.x402Version === 1 ? readV1(value) : readV2(value)
  return request === null
    ? { kind: 'malformed', reason: 'wrong-shape' }
    : { kind: 'request', request }
}

function decodeText(body: Uint8Array): string | null {
  try {
    return strictText.decode(body)
  } catch {
    return null
  }
}

function readV1(value: unknown): FacilitatorRequest | null {
  const parsed = facilitatorRequestV1.safeParse(value)
  if (!parsed.success) return null
  const { paymentPayload, paymentRequirements } = parsed.data
  const { maxAmountRequired, resource, network, ...rest } = paymentRequirements
  const { scheme, network: paidOn, payload } = paymentPayload
  const none = { accepted: null, extensions: undefined, identifier: null }
  return {
    ...{ version: 1, network, resourceUrl: resource ?? '' },
    presented: { scheme, network: paidOn, payload, ...none },
    terms: { ...rest, amount: atomicAmount(BigInt(maxAmountRequired)) },
  }
}

function readV2(value: unknown): FacilitatorRequest | null {
  const parsed = facilitatorRequestV2.safeParse(value)
  if (!parsed.success) return null
  const { paymentPayload, paymentRequirements } = parsed.data
  const { accepted, payload, extensions, resource } = paymentPayload
  const { amount, network, ...rest } = paymentRequirements
  const { scheme, network: paidOn } = accepted
  return {
    ...{ version: 2, network, resourceUrl: resource?.url ?? '' },
    presented: { scheme, network: paidOn, accepted, payload, extensions, identifier: null },
    terms: { ...rest, amount: atomicAmount(BigInt(amount)) },
  }
}

export type CheckedRequest =
  | { readonly kind: 'payment'; readonly payment: Payment }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }

/** Refusals by the clock alone: what was settled in time is told of afterwards, too. */
const BY_THE_CLOCK: readonly RefusalReason[] = [
  'invalid_exact_evm_payload_authorization_valid_after',
  'invalid_exact_evm_payload_authorization_valid_before',
]

/**
 * Refutes what can be refuted without asking the chain, as a gateway does with its own offers: here
 * the requirements that came with the payment are the offer.
 *
 * @param network An EVM network's CAIP-2 id; null when what the request names is not served.
 */
export function checkFacilitatorRequest(
  { version, network: spelled, presented, terms, resourceUrl }: FacilitatorRequest,
  network: NetworkId | null,
  nowSeconds: number,
): CheckedRequest {
  if (network === null) return { kind: 'refused', reason: 'invalid_network' }
  const isShaped = [terms.asset, terms.payTo].every(one => evmAddress.safeParse(one).success)
  if (!isShaped) return { kind: 'refused', reason: 'invalid_payment_requirements' }
  if (terms.scheme !== 'exact') return { kind: 'refused', reason: 'unsupported_scheme' }
  const { amount, ...rest } = terms
  const offer: Offer = {
    requirements: { ...rest, network, amount: String(amount) },
    ...{ amount, symbol: terms.asset, decimals: 0 },
    transferMethod: terms.extra['assetTransferMethod'] === 'permit2' ? 'permit2' : 'eip3009',
    v1Network: version === 1 ? spelled : null,
  }
  const checked = checkLocally(presented, [offer], { resourceUrl, nowSeconds, headroomSeconds: 0 })
  if (checked.kind === 'passed') return { kind: 'payment', payment: checked.payment }
  const isLate = checked.kind === 'stale' && BY_THE_CLOCK.includes(checked.reason)
  if (isLate) return { kind: 'payment', payment: checked.payment }
  return { kind: 'refused', reason: checked.reason }
}
