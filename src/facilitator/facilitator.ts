import type { NetworkId, PaymentPayload, PaymentRequirements } from '../core/payment.ts'

/** One (version, scheme, network) that a facilitator says it can verify and settle. */
export interface SupportedKind {
  readonly x402Version: number
  readonly scheme: string
  /** CAIP-2 in version 2, a v1 name like "base-sepolia" in version 1. */
  readonly network: string
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

export interface Supported {
  readonly kinds: readonly SupportedKind[]
  readonly extensions: readonly string[]
  readonly signers: Readonly<Record<string, readonly string[]>>
}

/** Answer of `/verify` (x402 specification v2, VerifyResponse). */
export interface VerifyAnswer {
  readonly isValid: boolean
  readonly invalidReason?: string | undefined
  readonly invalidMessage?: string | undefined
  readonly payer?: string | undefined
}

/** Answer of `/settle` (x402 specification v2, SettlementResponse). */
export interface SettleAnswer {
  readonly success: boolean
  readonly errorReason?: string | undefined
  readonly errorMessage?: string | undefined
  readonly payer?: string | undefined
  /** Transaction hash; empty when none was sent. */
  readonly transaction: string
  readonly network: NetworkId
  readonly amount?: string | undefined
}

/** Verifies and settles payments: a remote service, or our own code against the chain. */
export interface Facilitator {
  /** What the configuration calls it: safe for logs and metrics, never a URL with a key in it. */
  readonly name: string

  /** What it can do. Rejects with `FacilitatorUnavailableError`. */
  supported(): Promise<Supported>

  /** Rejects with `FacilitatorUnavailableError` when there is no trustworthy answer. */
  verify(payload: PaymentPayload, requirements: PaymentRequirements): Promise<VerifyAnswer>

  /**
   * Rejects with `FacilitatorUnavailableError` only when the request cannot have been sent, and
   * with `SettlementUnknownError` whenever it may have been.
   */
  settle(payload: PaymentPayload, requirements: PaymentRequirements): Promise<SettleAnswer>

  close(): Promise<void>
}

/** A facilitator and what it said it can do. */
export interface KnownFacilitator {
  readonly facilitator: Facilitator
  readonly supported: Supported
  /** What it said before, newest first: payments may still be bound by that. */
  readonly earlier?: readonly Supported[]
}

/** Whether a facilitator is asked now. */
export type FacilitatorCondition =
  | { readonly kind: 'up' }
  /** It failed several times in a row, and is tried again after `forMs`. */
  | { readonly kind: 'down'; readonly forMs: number }
  /** It asked to be left alone for so long (429, or 503 with Retry-After). */
  | { readonly kind: 'resting'; readonly forMs: number }

/** A facilitator that is spared while it cannot help, and never asked too much at once. */
export interface GuardedFacilitator extends Facilitator {
  condition(): FacilitatorCondition
  /** `listener` is told after each change. */
  onChange(listener: () => void): void
}
