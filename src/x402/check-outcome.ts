import type { Offer, Payment } from '../core/payment.ts'
import type { PresentedPayment } from './decode-payment.ts'

/**
 * Why a payment is refused without asking anybody (x402 specification v2, "Error codes"; for Solana
 * the codes of @x402/svm 2.27.0).
 */
export type RefusalReason =
  | 'invalid_network'
  | 'unsupported_scheme'
  | 'invalid_payment_requirements'
  | 'invalid_payload'
  | 'invalid_exact_evm_payload_recipient_mismatch'
  | 'invalid_exact_evm_payload_authorization_value'
  | 'invalid_exact_evm_payload_authorization_valid_after'
  | 'invalid_exact_evm_payload_authorization_valid_before'
  | 'invalid_exact_svm_fee_payer_mismatch'
  | `invalid_exact_svm_payload_${SolanaFlaw}`

export type SolanaFlaw =
  | 'transaction_could_not_be_decoded'
  | 'signature_invalid'
  | 'excessive_signers'
  | 'transaction_instructions_length'
  | 'transaction_instructions_compute_limit_instruction'
  | 'transaction_instructions_compute_price_instruction'
  | 'transaction_instructions_compute_price_instruction_too_high'
  | 'no_transfer_instruction'
  | 'unknown_optional_instruction'
  | 'transaction_fee_payer_transferring_funds'
  | 'mint_mismatch'
  | 'recipient_mismatch'
  | 'amount_mismatch'

export type LocalCheck =
  | { readonly kind: 'passed'; readonly payment: Payment }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  /**
   * Refused as well, unless the ledger knows it: it may have been taken in time and at the price of
   * then, and its settlement be pending or its response still owed.
   */
  | { readonly kind: 'stale'; readonly reason: RefusalReason; readonly payment: Payment }

export interface Circumstances {
  /** Ours, not what the client says: it goes to facilitators, who index it. */
  readonly resourceUrl: string
  /** Unix seconds. */
  readonly nowSeconds: number
  /** How long the payment must still be good for: the upstream's time-out, and a settlement. */
  readonly headroomSeconds: number
}

/** A payload held against one offer. */
export type ReadPayment =
  | { readonly kind: 'unreadable'; readonly reason: RefusalReason }
  | {
      readonly kind: 'read'
      readonly payment: Payment
      /** Null: what was signed is what the offer asks for. */
      readonly terms: RefusalReason | null
      /** Null: it can be settled now, and for as long as it has to be. */
      readonly time: RefusalReason | null
    }

/** What is particular to the payments of one kind of network. */
export interface FamilyChecks {
  /** Whether two spellings are one address. */
  isSame(one: string, other: string): boolean
  /** The offer that a client says it accepted, whoever made it; null when it cannot be one. */
  offerOf(accepted: Offer['requirements'], payload: Readonly<Record<string, unknown>>): Offer | null
  read(presented: PresentedPayment, offer: Offer, circumstances: Circumstances): ReadPayment
}
