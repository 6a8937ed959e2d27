import type { UnixMs } from '../core/time.ts'
import { FareboxError } from '../errors.ts'

/** What names a signed transfer on its chain. EVM addresses in any spelling. */
export interface SignedTransferOnChain {
  readonly method: 'eip3009' | 'permit2' | 'solana'
  readonly token: string
  readonly payer: string
  readonly payTo: string
  /** Atomic units. */
  readonly amount: bigint
  /**
   * EIP-3009: 32 bytes in hexadecimal. Permit2: decimal digits. Solana: the transaction in base64,
   * whose message happens once.
   */
  readonly nonce: string
  /** Unix seconds after which the chain refuses it. */
  readonly validBefore: number
}

/** Where to look first. */
export interface LookHints {
  /** Hash that a facilitator named, whatever it is worth; null when it named none. */
  readonly transaction: string | null
  /** When we first took the payment. */
  readonly createdAt: UnixMs
}

export interface ChainBlock {
  readonly number: bigint
  /** Unix seconds. */
  readonly timestamp: number
}

/** What used up a transfer's nonce. */
export type NonceUse =
  /** One successful transaction used it and moved exactly the amount from payer to payTo. */
  | { readonly kind: 'transfer'; readonly transaction: string; readonly block: bigint }
  /** Cancelled, or used for something else: our transfer can never land beside it. */
  | { readonly kind: 'voided'; readonly how: 'cancelled' | 'other-use'; readonly block: bigint }
  /** It is used, and nothing that was found proves how. */
  | { readonly kind: 'unproven' }

/** One consistent look, all of it from one node. */
export interface ChainView {
  readonly latest: ChainBlock
  /** The newest block that is taken to stay. */
  readonly final: ChainBlock
  /** Null: not used as of `latest`, which says so of every block before it. */
  readonly use: NonceUse | null
  /** The chain still takes it, whatever the time: on Solana blocks, not seconds, end a message. */
  readonly stillValid?: boolean
}

/** How long a look may spend on one node before it turns to the next. */
export const LOOK_MS_PER_NODE_MAX = 10_000

/** Reads from one chain what became of payments. */
export interface ChainReader {
  /**
   * Looks once. Bounded in time and in calls.
   *
   * Rejects with `ChainUnavailableError` when no node answers or none can be trusted.
   */
  look(transfer: SignedTransferOnChain, hints: LookHints): Promise<ChainView>
}

/** No node of a network answered, or what it answered cannot be trusted. Nothing was decided. */
export class ChainUnavailableError extends FareboxError {
  readonly code = 'chain_unavailable'

  /** @param detail Never a URL or a node's own words: both may carry a key. */
  constructor(network: string, detail: string) {
    super(`No node of ${network} gave an answer that can be used: ${detail}.`, {
      fix: `Check networks.${network}.rpc and the provider's status; farebox asks again by itself.`,
    })
  }
}
