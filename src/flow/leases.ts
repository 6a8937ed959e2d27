import type { PaymentKey } from '../core/payment.ts'

/** Keeps one payment from being worked on twice at once within this process. */
export interface Leases {
  /**
   * Null: somebody else holds it. A holder that has answered its client and only writes that down
   * is waited for, so that whoever has just been served hears "used", not "in progress".
   */
  take(key: PaymentKey): Promise<Lease | null>
}

export interface Lease {
  /** Lets go of the payment once `lastWork` is done. Never rejects for its sake. */
  endAfter(lastWork: Promise<void>): Promise<void>
}

/**
 * Bounded by the number of requests in flight.
 *
 * @param isTaken Whether a payment that no request holds cannot be worked on all the same.
 */
export function createLeases(isTaken: (key: PaymentKey) => boolean = () => false): Leases {
  const held = new Map<PaymentKey, { ending: Promise<void> | null }>()
  return {
    async take(key) {
      const ending = held.get(key)?.ending
      if (ending) await ending
      if (held.has(key) || isTaken(key)) return null
      const hold: { ending: Promise<void> | null } = { ending: null }
      held.set(key, hold)
      return {
        endAfter(lastWork) {
          const letGo = (): void => void held.delete(key)
          hold.ending ??= lastWork.then(letGo, letGo)
          return hold.ending
        },
      }
    },
  }
}
