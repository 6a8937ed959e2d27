import type { ChainView } from '../networks/chain-reader.ts'

/** What a look at the chain decides about a claim whose settlement is open. */
export type ChainJudgement =
  | { readonly kind: 'settled'; readonly transaction: string }
  /** It moved nothing and never will. */
  | {
      readonly kind: 'released'
      readonly reason: 'expired_unused' | 'cancelled' | 'used_otherwise'
    }
  /** `unused`: it has not moved and may still, so that settling it again is harmless. */
  | { readonly kind: 'open'; readonly reason: 'unused' | 'not_final' | 'unproven' }

/**
 * Decides from one consistent look. Pure.
 *
 * A release needs blocks that stay: a nonce that is not used as of the newest block can land no
 * more once a final block is younger than the payment may be, and a cancellation counts from the
 * moment when it is final itself.
 *
 * @param validBefore Unix seconds after which the chain refuses the payment.
 */
export function judgeChain(
  { latest, final, use, stillValid = false }: ChainView,
  validBefore: number,
): ChainJudgement {
  if (use === null) {
    if (stillValid) return { kind: 'open', reason: 'unused' }
    // EIP-3009 refuses at this very second, Permit2 after it.
    if (final.timestamp > validBefore) return { kind: 'released', reason: 'expired_unused' }
    return { kind: 'open', reason: latest.timestamp < validBefore ? 'unused' : 'not_final' }
  }
  switch (use.kind) {
    case 'transfer':
      return { kind: 'settled', transaction: use.transaction }
    case 'voided':
      if (use.block > final.number) return { kind: 'open', reason: 'not_final' }
      return { kind: 'released', reason: use.how === 'cancelled' ? 'cancelled' : 'used_otherwise' }
    case 'unproven':
      return { kind: 'open', reason: 'unproven' }
  }
}
