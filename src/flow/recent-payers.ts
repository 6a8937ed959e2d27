import type { Clock } from '../core/time.ts'

/** Those who have paid here lately. */
export interface RecentPayers {
  add(payer: string): void
  has(payer: string): boolean
}

const PAYERS_MAX = 100_000
const LATELY_MS = 24 * 3_600_000

/**
 * Whoever has not paid for longest is forgotten first. A place costs a payment, so that those who
 * pay nothing can crowd nobody out.
 */
export function createRecentPayers(clock: Clock, payersMax: number = PAYERS_MAX): RecentPayers {
  const paidAt = new Map<string, number>()
  return {
    add(payer) {
      paidAt.delete(payer)
      const [oldest] = paidAt.keys()
      if (paidAt.size >= payersMax && oldest !== undefined) paidAt.delete(oldest)
      paidAt.set(payer, clock())
    },
    has: payer => clock() - (paidAt.get(payer) ?? Number.NEGATIVE_INFINITY) < LATELY_MS,
  }
}
