import type { PaymentKey } from '../core/payment.ts'

/** Keeps one payment from being worked on twice at once within this process. */
export interface Leases {
  /** Null: somebody else holds it. */
  take(key: PaymentKey): Lease | null
}

export interface Lease {
  /** A second call changes nothing. */
  release(): void
}

/** Bounded by the number of requests in flight. */
export function createLeases(): Leases {
  const held = new Set<PaymentKey>()
  return {
    take(key) {
      if (held.has(key)) return null
      held.add(key)
      let released = false
      return {
        release() {
          if (!released) held.delete(key)
          released = true
        },
      }
    },
  }
}
