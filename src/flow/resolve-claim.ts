import type { NetworkId, Settlement } from '../core/payment.ts'
import type { UnresolvedClaim } from '../ledger/ledger.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type SignedTransferOnChain,
} from '../networks/chain-reader.ts'
import { onChain, readStoredPayment, type StoredPayment } from '../x402/stored-payment.ts'
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
 * before the nonce, so "expired" is what it says of payments that landed, too. So it is with what
 * no chain knows, whatever nodes there are.
 */
export async function resolveClaim(
  claim: UnresolvedClaim,
  attempt: Attempt,
  parts: ResolveParts,
): Promise<Resolution> {
  const stored = readStoredPayment(claim)
  const open = { kind: 'open', repeated: false, transaction: attempt.transaction } as const
  if (stored === null) return { ...open, reason: 'unreadable' }
  const unique = onChain(stored)
  if (unique === null) return withoutChain('not_on_chain', { stored, attempt, parts })
  const chain = parts.chain(claim.network)
  if (chain === null) return withoutChain('no_rpc', { stored, attempt, parts })
  const transfer = toTransfer(claim, unique)
  try {
    const first = await lookOnce(claim, { transfer, chain, transaction: attempt.transaction })
    if (first.kind !== 'open' || first.reason !== 'unused' || !attempt.mayRepeat) return first
    const named = namedBy(await parts.resettle(stored)) ?? attempt.transaction
    const second = await lookOnce(claim, { transfer, chain, transaction: named })
    return second.kind === 'open' ? { ...second, repeated: true } : second
  } catch (error) {
    if (!(error instanceof ChainUnavailableError)) throw error
    parts.reportError(error)
    return { ...open, reason: 'chain_unavailable' }
  }
}

async function withoutChain(
  reason: 'no_rpc' | 'not_on_chain',
  asked: {
    readonly stored: StoredPayment
    readonly attempt: Attempt
    readonly parts: ResolveParts
  },
): Promise<Resolution> {
  const { stored, attempt, parts } = asked
  const { transaction, mayRepeat } = attempt
  const open = { kind: 'open', reason, transaction } as const
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
    readonly transfer: SignedTransferOnChain
    readonly chain: ChainReader
    readonly transaction: string | null
  },
): Promise<Resolution> {
  const { transfer, chain, transaction } = at
  const { createdAt, validBefore } = claim
  const view = await chain.look(transfer, { transaction, createdAt })
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

function toTransfer(
  claim: UnresolvedClaim,
  unique: Pick<SignedTransferOnChain, 'method' | 'nonce'>,
): SignedTransferOnChain {
  const { payer, payTo, amount, validBefore } = claim
  return { ...unique, token: claim.asset, payer, payTo, amount, validBefore }
}

function namedBy(settlement: Settlement | { readonly kind: 'not-sent' }): string | null {
  if (settlement.kind === 'settled') return settlement.receipt.transaction
  return settlement.kind === 'unknown' ? settlement.transaction : null
}
