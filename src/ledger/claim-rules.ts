import { requestOf } from '../core/payment.ts'
import type { ClaimState, KnownClaim } from './ledger.ts'

/** What a store must know of the row that a claim ran into. Times are unix milliseconds. */
export interface ExistingClaim {
  readonly state: ClaimState
  readonly fingerprint: string
  readonly heldUntil: number
  readonly settledAt: number | null
  /** Null: no response was kept. */
  readonly responseUntil: number | null
}

export interface AskedClaim {
  readonly fingerprint: string
  readonly now: number
  readonly redeemableMs: number
}

export type ClaimVerdict = 'take-over' | KnownClaim['kind']

/** Decides, for every store alike, what a second claim of one payment gets. Pure. */
export function judgeClaim(existing: ExistingClaim, asked: AskedClaim): ClaimVerdict {
  if (isFree(existing, asked)) return 'take-over'
  if (existing.fingerprint !== asked.fingerprint) return 'other-request'
  return judgeSame(existing, asked)
}

/** The same for a payment whose payer used its identifier for another payment before. */
export function judgeNamesake(existing: ExistingClaim, asked: AskedClaim): ClaimVerdict {
  if (isFree(existing, asked)) return 'take-over'
  const isSame = requestOf(existing.fingerprint) === requestOf(asked.fingerprint)
  return isSame ? judgeSame(existing, asked) : 'identifier-reused'
}

/** No settle was ever sent for it, so it does not matter what it was for. */
function isFree({ state, heldUntil }: ExistingClaim, { now }: AskedClaim): boolean {
  return state === 'released' || (state === 'forwarded' && now >= heldUntil)
}

function judgeSame(existing: ExistingClaim, asked: AskedClaim): ClaimVerdict {
  const held = asked.now < existing.heldUntil
  const { state } = existing
  const isSettled = state === 'settled' || state === 'delivered'
  if (isSettled && asked.now < (existing.responseUntil ?? 0)) return 'stored'
  switch (state) {
    case 'released':
      return 'take-over'
    case 'forwarded':
      return 'in-progress'
    case 'settling':
    case 'unknown':
      return 'settlement-pending'
    case 'settled':
      if (held) return 'in-progress'
      return asked.now < (existing.settledAt ?? 0) + asked.redeemableMs ? 'entitled' : 'used'
    case 'delivered':
      return 'used'
  }
}

/** Steps after the claim, and the states from which each is allowed. */
export const STEPS_FROM = {
  settling: ['forwarded'],
  settled: ['settling', 'unknown'],
  unknown: ['settling', 'unknown'],
  'response kept': ['settled'],
  delivered: ['settled'],
  'hold ended': ['settled'],
  released: ['forwarded', 'settling', 'unknown'],
} as const satisfies Readonly<Record<string, readonly ClaimState[]>>

export type Step = keyof typeof STEPS_FROM

/** A chain's newest final block may be so much older than what our own clock shows. */
const CHAIN_LAG_MS = 3_600_000

/**
 * Unix seconds before which an authorization must have run out for its row to be forgotten: it can
 * no longer be taken by the chain, and has been beyond use for as long as rows are kept.
 */
export function forgettableBefore(olderThan: number, now: number): number {
  return Math.floor(Math.min(olderThan, now - CHAIN_LAG_MS) / 1000)
}
