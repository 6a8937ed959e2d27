import type { ClaimId, UnresolvedClaim } from '../ledger/ledger.ts'
import { AgingMap } from './aging-map.ts'

/** When one open claim is tried again: often at first, ever more seldom later. */
export interface Pace {
  /** Unix milliseconds of the next attempt. */
  dueAt(): number
  /** Whether the payment may be sent again now, should it need that. */
  mayRepeat(now: number): boolean
  /** An attempt has ended without an end of the claim. */
  note(now: number, repeated: boolean): void
}

/** Remembers the pace of claims between the times that they are taken. */
export interface Paces {
  of(claim: UnresolvedClaim, now: number): Pace
  forget(id: ClaimId): void
}

/**
 * Of the claims taken last, so many are remembered for certain, and twice as many at most. Those
 * that were not taken for longest are forgotten, and begin anew.
 */
const REMEMBERED_MIN = 10_000

const LOOK_MS_MIN = 250
const LOOK_MS_MAX = 3_600_000
/** A client waits for what is fresh, nobody for what has been open for a day. */
const LOOK_AGAIN_AFTER_SHARE_OF_AGE = 0.25

/** The first settle gets this long to land; longer when the facilitator named its transaction. */
const FIRST_REPEAT_MS = 1_000
const FIRST_REPEAT_AFTER_SENT_MS = 5_000
const REPEAT_MS_MIN = 2_000
const REPEAT_MS_MAX = 300_000

/** @param random Between 0 and 1, so that gateways do not repeat in step. */
export function createPaces(random: () => number): Paces {
  const paces = new AgingMap<Pace, ClaimId>()
  return {
    of(claim, now) {
      const pace = paces.get(claim.id) ?? createPace(claim, now, random)
      paces.set(claim.id, pace)
      if (paces.youngSize >= REMEMBERED_MIN) paces.age()
      return pace
    },
    forget: id => paces.delete(id),
  }
}

function createPace(claim: UnresolvedClaim, firstSeen: number, random: () => number): Pace {
  let dueAt = firstSeen
  let repeats = 0
  const wasSent = claim.transaction !== null
  let repeatAt = firstSeen + (wasSent ? FIRST_REPEAT_AFTER_SENT_MS : FIRST_REPEAT_MS)
  const jittered = (milliseconds: number): number => Math.round(milliseconds * (1 + 0.2 * random()))
  return {
    dueAt: () => dueAt,
    mayRepeat: now => now >= repeatAt,
    note(now, repeated) {
      const age = (now - firstSeen) * LOOK_AGAIN_AFTER_SHARE_OF_AGE
      dueAt = now + jittered(Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, age)))
      if (!repeated) return
      repeatAt = now + jittered(Math.min(REPEAT_MS_MAX, REPEAT_MS_MIN * 2 ** repeats))
      repeats++
    },
  }
}
