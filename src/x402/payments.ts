import type { Facilitator } from '../facilitator/facilitator.ts'
import { watchSupport } from '../facilitator/support.ts'
import type { V1Networks } from '../facilitator/v1-translation.ts'
import { createPaymentEngine, type PaymentEngine } from './payment-engine.ts'

/** The facilitators of one configuration, and what is known of them. */
export interface Payments {
  /** An engine over the facilitators that have answered by now. */
  engine(): Promise<PaymentEngine>
  /** Names of facilitators that have not said what they can do. */
  silent(): readonly string[]
  /** Resolves when each has answered or failed once. */
  readonly firstRound: Promise<void>
  close(): Promise<void>
}

/** @param onChange Called when a new engine would differ from the last. */
export function openPayments(
  facilitators: readonly Facilitator[],
  v1Networks: V1Networks,
  onChange: () => void,
): Payments {
  const watch = watchSupport(facilitators, onChange)
  return {
    engine: () => createPaymentEngine(watch.known(), v1Networks),
    silent: watch.silent,
    firstRound: watch.firstRound,
    async close() {
      watch.close()
      await Promise.all(facilitators.map(facilitator => facilitator.close()))
    },
  }
}
