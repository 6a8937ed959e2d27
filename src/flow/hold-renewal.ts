import { type Clock, unixMs } from '../core/time.ts'
import type { ClaimId, Ledger } from '../ledger/ledger.ts'
import { type AlarmOptions, startAlarm } from './alarm.ts'

/** Keeps paid payments held for as long as their responses are on their way. */
export interface HoldRenewal {
  /** @returns Ends it. A second call does nothing. */
  keep(id: ClaimId): () => void
  close(): Promise<void>
}

export interface HoldRenewalParts extends AlarmOptions {
  readonly ledger: Pick<Ledger, 'extendHolds'>
  readonly clock: Clock
  reportError(error: unknown): void
}

/** How often it is looked whether anything is due. */
const LOOK_EVERY_MS = 5_000
/**
 * A claim is first held for at least half a minute beyond all that comes before its response. Most
 * responses are over by this time and cost nothing.
 */
const FIRST_AFTER_MS = 10_000
const AGAIN_AFTER_MS = 20_000
/** Long enough to miss a few, and what a killed gateway was delivering waits no longer. */
const HELD_MS = 60_000
/** As many as one call takes. */
const BATCH_MAX = 1_000

/** One timer for all deliveries, and one call for all that are due. Bounded by those in flight. */
export function startHoldRenewal(parts: HoldRenewalParts): HoldRenewal {
  const kept = new Set<Kept>()
  const renewing = startAlarm(async () => {
    await renewDue(kept, parts).catch((error: unknown) => parts.reportError(error))
    return LOOK_EVERY_MS
  }, parts)
  return {
    keep(id) {
      const delivery = { id, dueAt: parts.clock() + FIRST_AFTER_MS }
      kept.add(delivery)
      return () => void kept.delete(delivery)
    },
    close: renewing.close,
  }
}

interface Kept {
  readonly id: ClaimId
  dueAt: number
}

/** Rejects when the store does: what was due is due again the next time. */
async function renewDue(kept: Set<Kept>, { ledger, clock }: HoldRenewalParts): Promise<void> {
  const due = [...kept].filter(({ dueAt }) => dueAt <= clock())
  for (let at = 0; at < due.length; at += BATCH_MAX) {
    const batch = due.slice(at, at + BATCH_MAX)
    const now = clock()
    const ids = batch.map(({ id }) => id)
    const extended = new Set(await ledger.extendHolds({ ids, heldUntil: unixMs(now + HELD_MS) }))
    for (const delivery of batch) {
      // Somebody has taken it over, or its end is written already: it is no longer ours to hold.
      if (!extended.has(delivery.id)) kept.delete(delivery)
      delivery.dueAt = now + AGAIN_AFTER_MS
    }
  }
}
