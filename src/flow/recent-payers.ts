import type { Clock, UnixMs } from '../core/time.ts'
import { AgingMap } from './aging-map.ts'

/** Those who have paid here lately. */
export interface RecentPayers {
  add(payer: string): void
  has(payer: string): boolean
}

const PAYERS_MAX = 100_000
const LATELY_MS = 24 * 3_600_000

/**
 * Beyond the bound those are forgotten who have not paid for longest. A place costs a payment, so
 * that those who pay nothing can crowd nobody out.
 */
export function createRecentPayers(clock: Clock, payersMax: number = PAYERS_MAX): RecentPayers {
  const paidAt = new AgingMap<UnixMs>()
  return {
    add(payer) {
      paidAt.set(payer, clock())
      if (paidAt.youngSize >= payersMax / 2) paidAt.age()
    },
    has: payer => clock() - (paidAt.get(payer) ?? Number.NEGATIVE_INFINITY) < LATELY_MS,
  }
}
