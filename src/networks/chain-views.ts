import type { UnixMs } from '../core/time.ts'
import type { ChainView, SignedTransferOnChain } from './chain-reader.ts'

/** A node whose newest block is older than this may have stopped following its chain. */
export const BEHIND_SECONDS = 120

/**
 * Whether one node's look is believed alone. A transfer is proven by its receipt, and of a payment
 * that may still land nothing is decided. Everything else could end the payment, or keep it open
 * for ever, on the word of a node that lags, forgets or is broken: the others are heard as well.
 */
export function settlesIt(
  { latest, final, use }: ChainView,
  { validBefore }: SignedTransferOnChain,
  now: UnixMs,
): boolean {
  if (use !== null) return use.kind === 'transfer'
  const isBehind = latest.timestamp < now / 1000 - BEHIND_SECONDS
  return !isBehind && final.timestamp <= validBefore
}

const RANKS = ['transfer', 'unproven', 'voided', null] as const

/**
 * What several nodes say together. That a nonce is used outweighs that it is not, which is what a
 * node says that lags behind; and what keeps a payment open outweighs what ends it.
 *
 * @returns Null when nobody said anything.
 */
export function mostTelling(views: readonly ChainView[]): ChainView | null {
  const [best = null] = views.toSorted(
    (one, other) => rank(one) - rank(other) || (one.latest.number > other.latest.number ? -1 : 1),
  )
  return best
}

function rank({ use }: ChainView): number {
  return RANKS.indexOf(use?.kind ?? null)
}
