import type { NotSent, Payment, Settlement, Verdict } from '../core/payment.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../errors.ts'
import type { KnownFacilitator, SettleAnswer } from '../facilitator/facilitator.ts'
import { createFailover, type Failover } from '../facilitator/failover.ts'
import type { V1Networks } from '../facilitator/v1-translation.ts'
import { shortReason } from './reason.ts'
import { readSettlement, readTransaction } from './settle-outcome.ts'
import type { StoredPayment } from './stored-payment.ts'

/** Verifies and settles payments, and says what that proved. */
export interface PaymentEngine extends Pick<Failover, 'bind' | 'extensionsFor'> {
  verify(payment: Payment): Promise<Verdict>
  /** Never rejects: a settle whose fate is not known is `unknown`. */
  settle(payment: Payment): Promise<Settlement | NotSent>
  /**
   * Sends the same bytes again. Only `settled` may be believed: a refusal says that nothing was
   * sent now, and nothing of the settle before. Never rejects.
   */
  resettle(stored: StoredPayment): Promise<Settlement | NotSent>
}

/** @param known In the order in which they are preferred. */
export function createPaymentEngine(
  known: readonly KnownFacilitator[],
  v1Networks: V1Networks,
): PaymentEngine {
  const facilitators = createFailover(known, v1Networks)
  return {
    bind: facilitators.bind,
    extensionsFor: facilitators.extensionsFor,

    async verify({ payload, offer }): Promise<Verdict> {
      try {
        const answer = await facilitators.verify(payload, offer.requirements)
        if (answer.isValid) return { kind: 'valid' }
        const reason = answer.invalidReason ?? 'unexpected_verify_error'
        return { kind: 'invalid', reason: shortReason(reason) }
      } catch (error) {
        if (!(error instanceof FacilitatorUnavailableError)) throw error
        return { kind: 'unavailable', retryAfterSeconds: error.retryAfterSeconds }
      }
    },

    settle({ payload, payer, offer: { requirements, amount } }) {
      const asked = { payload, requirements, payer, amount }
      return outcomeOf(facilitators.settle(payload, requirements), asked)
    },

    resettle: stored =>
      outcomeOf(facilitators.resettle(stored.payload, stored.requirements), stored),
  }
}

async function outcomeOf(
  settling: Promise<SettleAnswer>,
  { requirements, payer, amount }: Omit<StoredPayment, 'unique'>,
): Promise<Settlement | NotSent> {
  try {
    return readSettlement(await settling, { payer, offer: { requirements, amount } })
  } catch (error) {
    if (error instanceof FacilitatorUnavailableError) {
      return { kind: 'not-sent', retryAfterSeconds: error.retryAfterSeconds }
    }
    const named = error instanceof SettlementUnknownError ? error.transaction : null
    const transaction = readTransaction(named ?? '', requirements)
    return { kind: 'unknown', detail: String(error), transaction }
  }
}
