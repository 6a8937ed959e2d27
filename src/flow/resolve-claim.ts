import type { NetworkId, Settlement } from '../core/payment.ts'
import type { UnresolvedClaim } from '../ledger/ledger.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type SignedTransferOnChain,
} from '../networks/chain-reader.ts'
import { readStoredPayment, type StoredPayment } from '../x402/stored-payment.ts'
import { judgeChain } from './judge-chain.ts'

export interface ResolveParts {
  /** Null where the configuration names no node of the network. */
  chain(network: NetworkId): ChainReader | null
  /** Sends the same bytes again, through the facilitators of today. Never rejects. */
  resettle(stored: StoredPayment): Promise<Settlement | { readonly kind: 'not-sent' }>
  /** Told when no node of a network answers. */
  reportError(error: ChainUnavailableError): void
}

export interface Attempt {
  /** Hash that a facilitator named, at first or since; null when none did. */
  readonly transaction: string | null
  /** Whether it is time to send the payment again, if that is what it needs. */
  readonly mayRepeat: boolean
}

/** Where a claim stands after one attempt to finish it. */
export type Resolution =
  | { readonly kind: 'settled'; readonly transaction: string; readonly reason: string }
  | { readonly kind: 'released'; readonly reason: string }
  | {
      readonly kind: 'open'
      readonly reason: string
      /** True when the payment was sent again in this attempt. */
      readonly repeated: boolean
      readonly transaction: string | null
    }

/**
 * Tries once to finish a claim. Where the chain can be asked, only the chain is believed: a
 * facilitator could name somebody else's transaction.
 *
 * Without a chain, only a success ends a claim. No refusal does: the facilitator looks at the time
 * before the nonce, so "expired" is what it says of payments that landed, too.
 */
export async function resolveClaim(
  claim: UnresolvedClaim,
  attempt: Attempt,
  parts: ResolveParts,
): Promise<Resolution> {
  const stored = readStoredPayment(claim)
  const open = { kind: 'open', repeated: false, transaction: attempt.transaction } as const
  if (stored === null) return { ...open, reason: 'unreadable' }
  const chain = parts.chain(claim.network)
  if (chain === null) return withoutChain(stored, attempt, parts)
  try {
    const first = await lookOnce(claim, { stored, chain, transaction: attempt.transaction })
    if (first.kind !== 'open' || first.reason !== 'unused' || !attempt.mayRepeat) return first
    const named = namedBy(await parts.resettle(stored)) ?? attempt.transaction
    const second = await lookOnce(claim, { stored, chain, transaction: named })
    return second.kind === 'open' ? { ...second, repeated: true } : second
  } catch (error) {
    if (!(error instanceof ChainUnavailableError)) throw error
    parts.reportError(error)
    return { ...open, reason: 'chain_unavailable' }
  }
}

async function withoutChain(
  stored: StoredPayment,
  { transaction, mayRepeat }: Attempt,
  parts: ResolveParts,
): Promise<Resolution> {
  const open = { kind: 'open', reason: 'no_rpc', transaction } as const
  if (!mayRepeat) return { ...open, repeated: false }
  const settlement = await parts.resettle(stored)
  if (settlement.kind === 'settled') {
    return {
      kind: 'settled',
      transaction: settlement.receipt.transaction,
      reason: 'facilitator_proved',
    }
  }
  return { ...open, repeated: true, transaction: namedBy(settlement) ?? transaction }
}

async function lookOnce(
  claim: UnresolvedClaim,
  at: {
    readonly stored: StoredPayment
    readonly chain: ChainReader
    readonly transaction: string | null
  },
): Promise<Resolution> {
  const { stored, chain, transaction } = at
  const { createdAt, validBefore } = claim
  const view = await chain.look(toTransfer(claim, stored), { transaction, createdAt })
  const judgement = judgeChain(view, validBefore)
  switch (judgement.kind) {
    case 'settled':
      return { ...judgement, reason: 'chain_proved' }
    case 'released':
      return judgement
    case 'open':
      return { ...judgement, repeated: false, transaction }
  }
}

function toTransfer(claim: UnresolvedClaim, { unique }: StoredPayment): SignedTransferOnChain {
  const { payer, payTo, amount, validBefore } = claim
  return { ...unique, token: claim.asset, payer, payTo, amount, validBefore }
}

function namedBy(settlement: Settlement | { readonly kind: 'not-sent' }): string | null {
  if (settlement.kind === 'settled') return settlement.receipt.transaction
  return settlement.kind === 'unknown' ? settlement.transaction : null
}
