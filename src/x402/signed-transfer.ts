import type { Offer, PaymentMethod } from '../core/payment.ts'

/** What a scheme `exact` payment on EVM promises, whichever contract method carries it. */
export interface SignedTransfer {
  /** Lower case, as every address in here. */
  readonly payer: string
  readonly payTo: string
  /** Null where the signature's domain names the token (EIP-3009). */
  readonly asset: string | null
  readonly amount: bigint
  /** Unix seconds. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly signature: string
  /** What the chain makes unique, beside the network. Equal values whatever the spelling. */
  readonly uniqueBy: readonly string[]
  /**
   * The payload with one spelling: known members only, addresses checksummed (CDP insists), all
   * other hexadecimal in lower case.
   */
  readonly payload: Readonly<Record<string, unknown>>
  /** The EIP-712 digest that an ordinary account signs for this offer. */
  digest(offer: Offer): Uint8Array
}

/** One way to move a token by signature. */
export interface TransferMethod {
  readonly name: PaymentMethod
  /** Null when the payload is not one of this method's. */
  read(payload: Readonly<Record<string, unknown>>, offer: Offer): SignedTransfer | null
}

/** "eip155:84532" -> 84532n. */
export function chainIdOf(offer: Offer): bigint {
  return BigInt(offer.requirements.network.slice('eip155:'.length))
}
