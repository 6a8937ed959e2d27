import type { Operation } from './circuit-breaker.ts'

/** How many calls a facilitator has at once. */
export interface Places {
  /** False when there is none to have. */
  take(operation: Operation): boolean
  free(operation: Operation): void
}

/**
 * What a verify leaves to settles: their requests have been served by then, so a payment that finds
 * no place is better turned away at the door.
 */
const SHARE_OF_VERIFY = 0.75

/**
 * Nobody waits for a place. A queue would hide that a facilitator is too slow, and eat up the time
 * for which a payment is good, while the next facilitator may be idle.
 *
 * @param most Of verifies and settles together. `/supported` is asked by one timer and not counted.
 */
export function createPlaces(most: number): Places {
  const mostForVerify = Math.max(1, Math.floor(most * SHARE_OF_VERIFY))
  let taken = 0
  return {
    take(operation) {
      if (operation === 'supported') return true
      if (taken >= (operation === 'verify' ? mostForVerify : most)) return false
      taken++
      return true
    },
    free(operation) {
      if (operation !== 'supported') taken--
    },
  }
}
