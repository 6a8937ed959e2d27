import type { RateConfig } from '../config/limits-config.ts'
import type { Clock } from '../core/time.ts'

/** Allows so many events a second, and a burst of as many as have been saved up. */
export interface Budget {
  /** False: spent for now. */
  take(): boolean
  /** Milliseconds until one has been saved up again, if nobody takes it first. */
  waitMs(): number
  /** What was taken was not needed. */
  giveBack(): void
}

export function createBudget(
  clock: Clock,
  { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
): Budget {
  let saved = burst
  let countedAt = clock()
  return {
    take() {
      const now = clock()
      // A clock that was set back must not take away what was saved up.
      const elapsedSeconds = Math.max(0, now - countedAt) / 1000
      saved = Math.min(burst, saved + elapsedSeconds * perSecond)
      countedAt = now
      if (saved < 1) return false
      saved -= 1
      return true
    },
    waitMs: () => Math.ceil((Math.max(0, 1 - saved) / perSecond) * 1000),
    giveBack() {
      saved = Math.min(burst, saved + 1)
    },
  }
}

/** The budget of the configuration in force, which a reload may change; a new one begins full. */
export type BudgetInForce = (rate: RateConfig) => Budget

/** @param sharers Gateways that have an even part of it each. */
export function budgetInForce(clock: Clock, sharers: number = 1): BudgetInForce {
  let inForce: { readonly rate: RateConfig; readonly budget: Budget } | null = null
  return rate => {
    const { requests, perMs } = rate
    if (inForce?.rate.requests === requests && inForce.rate.perMs === perMs) return inForce.budget
    const perSecond = requests / (perMs / 1000) / sharers
    const burst = Math.max(1, Math.floor(requests / sharers))
    inForce = { rate, budget: createBudget(clock, { perSecond, burst }) }
    return inForce.budget
  }
}
