import type { PaymentKey } from '../core/payment.ts'
import type { Timer } from '../core/time.ts'
import { systemTimer } from './alarm.ts'

/** Lets requests wait until it is known what became of their payment. */
export interface SettlementWatch {
  /** Null: as many wait as may, or nobody may any more. One request at a time waits for a key. */
  enter(key: PaymentKey): Waiting | null
  /** Something has become known of a payment: whoever waits for it should look. */
  tell(key: PaymentKey): void
  /** Ends all waiting. */
  close(): void
}

export interface Waiting {
  /** Resolves when there is something to look at, at the latest after so many milliseconds. */
  news(milliseconds: number): Promise<void>
  /** Something else has happened: looks at it now. */
  readonly ring: () => void
  /** True once nobody may wait any more. */
  readonly isOver: boolean
  leave(): void
}

/** Each holds a connection, and a body of up to 64 KiB. */
const WAITING_MAX = 256

export function createSettlementWatch(
  waitingMax = WAITING_MAX,
  timer: Timer = systemTimer,
): SettlementWatch {
  const rings = new Map<PaymentKey, () => void>()
  let closed = false
  return {
    enter(key) {
      if (closed || rings.size >= waitingMax || rings.has(key)) return null
      let news = Promise.withResolvers<void>()
      const ring = (): void => news.resolve()
      rings.set(key, ring)
      return {
        ring,
        async news(milliseconds) {
          const cancel = timer(ring, milliseconds)
          await news.promise
          cancel()
          // What was told before somebody asked counts as well, but only once.
          news = Promise.withResolvers<void>()
        },
        get isOver() {
          return closed
        },
        leave: () => void rings.delete(key),
      }
    },
    tell: key => rings.get(key)?.(),
    close() {
      closed = true
      for (const ring of rings.values()) ring()
    },
  }
}
