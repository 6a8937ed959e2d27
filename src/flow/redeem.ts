import type { Receipt } from '../core/payment.ts'
import type { ClaimId, KnownClaim } from '../ledger/ledger.ts'
import type { UpstreamOutcome } from '../upstream/upstream.ts'
import { problemReply } from './answers.ts'
import { recallSettled } from './await-settlement.ts'
import type { Reply } from './exchange.ts'
import { forwardPaid, upstreamFailure } from './forward.ts'
import { type Bought, boughtEarlier, type Purchase, pathOf } from './purchase.ts'
import { pending, withReceipt } from './receipts.ts'
import { paymentRequired } from './refusals.ts'
import { keepForReplay, replay } from './replay.ts'
import type { RoutePrice } from './route.ts'
import { noteOwed, noteRefusal } from './verify.ts'

/** Answers for a payment that the ledger knows already. */
export async function answerKnown(purchase: Purchase, known: KnownClaim): Promise<Reply> {
  switch (known.kind) {
    case 'entitled': {
      noteOwed(purchase.visit, purchase.payment)
      const { id, receipt } = known
      return redeem(purchase, { id, receipt, bought: boughtEarlier(purchase, known) })
    }
    case 'stored':
      return replay(purchase, known)
    case 'in-progress':
      return problemReply('payment_in_progress')
    case 'settlement-pending':
      return pending(purchase, null)
    case 'used':
      // Nobody needs to hear it often, and it takes a signature check and a look into the ledger.
      noteRefusal(purchase.visit)
      return withReceipt(problemReply('payment_already_used'), purchase, known.receipt)
    case 'other-request':
      noteRefusal(purchase.visit)
      return problemReply('payment_for_other_request')
    case 'identifier-reused':
      return problemReply('payment_identifier_reused')
  }
}

/**
 * Another gateway on the same ledger may have taken the payment since it was looked up here, and it
 * is invalid because that one has settled it: whoever was asked for money then would pay twice.
 */
export async function answerInvalid(
  purchase: Purchase,
  price: Extract<RoutePrice, { kind: 'paid' }>,
  reason: string,
): Promise<Reply> {
  const { visit } = purchase
  const known = await recallSettled(purchase, 'passed')
  if (known.kind !== 'unclaimed') return answerKnown(purchase, known)
  return paymentRequired(price, visit, pathOf(purchase), reason)
}

/** The money has moved; one execution is owed. */
export async function redeem(
  purchase: Purchase,
  owed: { readonly id: ClaimId; readonly receipt: Receipt; readonly bought: Bought },
): Promise<Reply> {
  const { id, receipt, bought } = owed
  purchase.visit.receipt = receipt
  const outcome = await forwardPaid(purchase, bought)
  if (outcome.kind !== 'response') {
    await writeEnd(purchase, id, false)
    return withReceipt(upstreamFailure(outcome), purchase, receipt)
  }
  const isBillable = purchase.route.isBillable(outcome.status, outcome.headers)
  if (isBillable) return paidReply(purchase, id, outcome)
  const reply = { ...outcome, outcome: 'paid_not_billable' }
  const stopHolding = purchase.visit.house.holds.keep(id)
  return {
    ...withReceipt(reply, purchase, receipt),
    afterDelivery() {
      stopHolding()
      return writeEnd(purchase, id, false)
    },
  }
}

function writeEnd({ visit, payment }: Purchase, id: ClaimId, isDelivered: boolean): Promise<void> {
  return visit.house.deliveries.write({ id, key: payment.key, isDelivered })
}

/** What was paid for. Whoever does not get the whole of it can have it again. */
export async function paidReply(
  purchase: Purchase,
  id: ClaimId,
  response: Extract<UpstreamOutcome, { kind: 'response' }>,
): Promise<Reply> {
  const { status, headers } = response
  const kept = await keepForReplay(purchase, id, response)
  const body = kept ?? response.body
  const stopHolding = purchase.visit.house.holds.keep(id)
  return {
    ...withReceipt({ status, headers, body, outcome: 'paid' }, purchase, purchase.visit.receipt),
    async afterDelivery(delivery) {
      if (delivery !== 'delivered') await kept?.finished
      stopHolding()
      return writeEnd(purchase, id, delivery === 'delivered')
    },
  }
}
