import type { Clock } from '../../core/time.ts'
import { addressGroup } from '../../flow/address-group.ts'
import { createRateCounters } from '../../flow/rate-counters.ts'

/** Requests without a key that is known. */
export interface Guesses {
  /**
   * Counts one more.
   *
   * @returns Seconds after which its address may try again; null while it may go on.
   */
  count(clientAddress: string): number | null
}

/** Enough for a caller whose key was just changed; at this rate no key is found. */
const RATE = { id: 'guesses', requests: 20, perMs: 60_000 }
/** Addresses that are remembered, of which the oldest make way. */
const COUNTERS_MAX = 10_000

export function createGuesses(clock: Clock): Guesses {
  const counters = createRateCounters({ clock, countersMax: COUNTERS_MAX })
  return {
    count(clientAddress) {
      const { count, resetMs } = counters.add(RATE, addressGroup(clientAddress))
      return count > RATE.requests ? Math.max(1, Math.ceil(resetMs / 1000)) : null
    },
  }
}
