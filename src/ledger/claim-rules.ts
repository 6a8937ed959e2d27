import type { ClaimState, KnownClaim } from './ledger.ts'

/** What a store must know of the row that a claim ran into. Times are unix milliseconds. */
export interface ExistingClaim {
  readonly state: ClaimState
  readonly fingerprint: string
  readonly heldUntil: number
}

export type ClaimVerdict = 'take-over' | KnownClaim['kind']

/** Decides, for every store alike, what a second claim of one payment gets. Pure. */
export function judgeClaim(
  existing: ExistingClaim,
  asked: { readonly fingerprint: string; readonly now: number },
): ClaimVerdict {
  const held = asked.now < existing.heldUntil
  const { state } = existing
  // No settle was ever sent for these two, so it does not matter what they were for.
  if (state === 'released' || (state === 'forwarded' && !held)) return 'take-over'
  if (existing.fingerprint !== asked.fingerprint) return 'other-request'
  switch (state) {
    case 'forwarded':
      return 'in-progress'
    case 'settling':
    case 'unknown':
      return 'settlement-pending'
    case 'settled':
      return held ? 'in-progress' : 'entitled'
    case 'delivered':
      return 'used'
  }
}

/** Steps after the claim, and the states from which each is allowed. */
export const STEPS_FROM = {
  settling: ['forwarded'],
  settled: ['settling', 'unknown'],
  unknown: ['settling'],
  delivered: ['settled'],
  'hold ended': ['settled'],
  released: ['forwarded', 'settling'],
} as const satisfies Readonly<Record<string, readonly ClaimState[]>>

export type Step = keyof typeof STEPS_FROM
