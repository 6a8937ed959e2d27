/**
 * The words of the house.
 *
 * *route* what the YAML lists · *offer* one way to pay for it · *challenge* the 402 · *payment*
 * what the client signed · *payment key* what makes it unique · *claim* our hold on a payment ·
 * *settlement* what the chain says · *receipt* what the client gets · *snapshot* one immutable
 * compiled configuration.
 */
import type { AtomicAmount } from './amount.ts'

/** CAIP-2 chain id, like "eip155:8453". */
export type NetworkId = `${string}:${string}`

/** How a token moves by signature, on its EVM chain. */
export type AssetTransferMethod = 'eip3009' | 'permit2'

/** The program that moves a token on Solana: Token or Token-2022. */
export type SplTransferMethod = 'spl-token' | 'spl-token-2022'

/** How an EVM offer is paid: as its token moves, or from a balance in Circle's GatewayWallet. */
export type EvmPaymentMethod = AssetTransferMethod | 'gateway-wallet'

export type PaymentMethod = EvmPaymentMethod | SplTransferMethod

/** One entry of `accepts` as x402 v2 writes it (x402 specification v2, PaymentRequirements). */
export interface PaymentRequirements {
  readonly scheme: string
  readonly network: NetworkId
  /** Atomic units, decimal digits. */
  readonly amount: string
  readonly asset: string
  readonly payTo: string
  readonly maxTimeoutSeconds: number
  readonly extra: Readonly<Record<string, unknown>>
}

/** One way to pay for a route: what goes on the wire, and what we know about it. */
export interface Offer {
  readonly requirements: PaymentRequirements
  readonly amount: AtomicAmount
  /** Ticker for people and metrics ("USDC"). */
  readonly symbol: string
  readonly decimals: number
  readonly transferMethod: PaymentMethod
  /** What x402 v1 calls the network ("base-sepolia"); null where v1 has no name for it. */
  readonly v1Network: string | null
}

/** What a resource is called in a challenge (x402 specification v2, ResourceInfo). */
export interface ResourceInfo {
  readonly url: string
  readonly description?: string | undefined
  readonly mimeType?: string | undefined
}

/** What the client signed, in x402 v2's form whatever the client spoke. */
export interface PaymentPayload {
  readonly x402Version: 2
  readonly resource: ResourceInfo
  readonly accepted: PaymentRequirements
  readonly payload: Readonly<Record<string, unknown>>
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
}

/** Unique per payment by what the chain itself makes unique (nonce per payer and token). */
export type PaymentKey = string & { readonly __brand: 'payment-key' }

/**
 * What a payment was spent on: method, host, target, route and body digest, hashed. Behind a dot,
 * where there is one, stands what else binds the payment to whoever presented it first.
 */
export type Fingerprint = string & { readonly __brand: 'fingerprint' }

/** A payment that passed every check we can make without asking anybody. */
export interface Payment {
  readonly key: PaymentKey
  /** Who pays, checksummed as the network writes addresses. */
  readonly payer: string
  readonly offer: Offer
  readonly payload: PaymentPayload
  /** The client's own name for what it buys (extension payment-identifier); null for none. */
  readonly identifier: string | null
  /** Unix seconds; after this the chain refuses the payment. */
  readonly validBefore: number
  /** `not-recovered` may still be a smart wallet's signature; only the chain can tell. */
  readonly signature: 'recovered' | 'not-recovered'
}

/** What a facilitator says of a payment before it is used. */
export type Verdict =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly retryAfterSeconds: number }

/** Proof that money moved. */
export interface Receipt {
  /** Transaction hash as the network writes it. */
  readonly transaction: string
  readonly network: NetworkId
  readonly payer: string
  readonly amount: AtomicAmount
}

export type Settlement =
  | { readonly kind: 'settled'; readonly receipt: Receipt }
  /** Known to have moved nothing, now and later. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** It may have left. Only the chain can tell; nobody may ask the client for money again. */
  | { readonly kind: 'unknown'; readonly detail: string; readonly transaction: string | null }

/** A settle that cannot have left. The same payment may be settled later. */
export interface NotSent {
  readonly kind: 'not-sent'
  readonly retryAfterSeconds: number
}

export function paymentKey(...parts: readonly string[]): PaymentKey {
  return parts.join('/') as PaymentKey // the brand's only source
}

/** @param binding Hash of what else binds the payment; empty for nothing. */
export function fingerprint(request: string, binding = ''): Fingerprint {
  const text = binding === '' ? request : `${request}.${binding}`
  return text as Fingerprint // the brand's only source
}

/** The part of a fingerprint that every payment for the same request shares. */
export function requestOf(fingerprint: string): string {
  return fingerprint.split('.', 1)[0] ?? ''
}
