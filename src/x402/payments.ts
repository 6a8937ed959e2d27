import type { GuardedFacilitator } from '../facilitator/facilitator.ts'
import { type WatchedFacilitator, watchSupport } from '../facilitator/support.ts'
import type { V1Networks } from '../facilitator/v1-translation.ts'
import { createPaymentEngine, type PaymentEngine } from './payment-engine.ts'

/** The facilitators of one configuration, and what is known of them. */
export interface Payments {
  /** An engine over the facilitators of which it is known by now what they support. */
  engine(): PaymentEngine
  /** All of them, in the configured order. */
  readonly facilitators: readonly Pick<GuardedFacilitator, 'name' | 'condition'>[]
  /** Names of those that have not said, in this process, what they can do. */
  silent(): readonly string[]
  /** Resolves when each of which nothing was known has answered or failed once. */
  readonly firstRound: Promise<void>
  close(): Promise<void>
}

/** @param onChange Called when a new engine would differ from the last. */
export function openPayments(
  watched: readonly WatchedFacilitator[],
  v1Networks: V1Networks,
  onChange: () => void,
): Payments {
  const watch = watchSupport(watched, onChange)
  const facilitators = watched.map(({ facilitator }) => facilitator)
  return {
    engine: () => createPaymentEngine(watch.known(), v1Networks),
    facilitators,
    silent: () => watch.silent().map(({ name }) => name),
    firstRound: watch.firstRound,
    async close() {
      watch.close()
      await Promise.all(facilitators.map(facilitator => facilitator.close()))
    },
  }
}
