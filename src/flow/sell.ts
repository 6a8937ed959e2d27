import type { NotSent, Settlement } from '../core/payment.ts'
import type { ClaimId } from '../ledger/ledger.ts'
import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import { forwardPaid, upstreamFailure } from './forward.ts'
import { boughtBy, type Purchase, pathOf } from './purchase.ts'
import { notSettled, pending, withNotice } from './receipts.ts'
import { paidReply, redeem } from './redeem.ts'
import { paymentRequired } from './refusals.ts'
import { notePaid } from './verify.ts'

/** Serves a claimed payment's request and moves its money, in the order that the route asks for. */
export function sell(purchase: Purchase, id: ClaimId): Promise<Reply> {
  return purchase.route.settle === 'before-upstream'
    ? settleThenForward(purchase, id)
    : forwardThenSettle(purchase, id)
}

/** An upstream's error costs nothing, and nothing is buffered: back-pressure holds the body. */
async function forwardThenSettle(purchase: Purchase, id: ClaimId): Promise<Reply> {
  const { visit, route } = purchase
  const { ledger } = visit.house
  const outcome = await forwardPaid(purchase, boughtBy(purchase.payment))
  if (outcome.kind !== 'response') {
    await ledger.release(id, outcome.kind)
    return upstreamFailure(outcome)
  }
  const { status, headers, body } = outcome
  try {
    if (visit.exchange.clientGone || !route.isBillable(status, headers)) {
      await ledger.release(id, visit.exchange.clientGone ? 'client_gone' : 'not_billable')
      return { status, headers, body, outcome: 'not_billable' }
    }
    await ledger.markSettling(id)
    const settlement = await settle(purchase, id)
    if (settlement.kind === 'settled') return await paidReply(purchase, id, outcome)
    body.cancel()
    return unpaidReply(purchase, settlement)
  } catch (error) {
    body.cancel()
    throw error
  }
}

/** For costly or non-repeatable work: what fails after the settlement stays redeemable. */
async function settleThenForward(purchase: Purchase, id: ClaimId): Promise<Reply> {
  const settlement = await settle(purchase, id)
  if (settlement.kind !== 'settled') return unpaidReply(purchase, settlement)
  const { receipt } = settlement
  return redeem(purchase, { id, receipt, bought: boughtBy(purchase.payment) })
}

type SettleOutcome = Settlement | NotSent

/** Settles, and writes down what came of it before anybody acts on it. */
async function settle(purchase: Purchase, id: ClaimId): Promise<SettleOutcome> {
  const { visit, payment } = purchase
  const { ledger } = visit.house
  const settlement = await visit.snapshot.engine.settle(payment)
  switch (settlement.kind) {
    case 'settled':
      visit.receipt = settlement.receipt
      visit.charged = true
      notePaid(visit, payment)
      return ledger.markSettled(id, settlement.receipt).then(
        () => {
          const { transaction } = settlement.receipt
          visit.house.settlementCheck?.add(payment, { route: purchase.route.key, transaction })
          return settlement
        },
        (error: unknown) => {
          // The money moved and we could not write it down: the row says `settling` until the
          // chain is asked, and not one byte is given away.
          visit.house.reportError(error, visit)
          const { transaction } = settlement.receipt
          return { kind: 'unknown', detail: 'not recorded', transaction }
        },
      )
    case 'unknown':
      // When this cannot be written, the row says `settling`, which is as open: a client that was
      // told anything less than "pending" could take the payment for one that was not charged.
      await ledger
        .markUnknown(id, settlement.detail, settlement.transaction)
        .catch((error: unknown) => visit.house.reportError(error, visit))
      visit.house.claimLeftOpen()
      return settlement
    case 'rejected':
      visit.house.gate.notSettled(payment)
      await ledger.release(id, settlement.reason)
      return settlement
    case 'not-sent':
      await ledger.release(id, 'settle was not sent')
      return settlement
  }
}

function unpaidReply(
  purchase: Purchase,
  settlement: Exclude<SettleOutcome, { kind: 'settled' }>,
): Reply {
  switch (settlement.kind) {
    case 'unknown':
      return pending(purchase, settlement.transaction)
    case 'not-sent':
      return problemReply('facilitator_unavailable', settlement)
    case 'rejected': {
      const { visit, route } = purchase
      if (route.price.kind !== 'paid') return problemReply('facilitator_unavailable')
      const reply = paymentRequired(route.price, visit, pathOf(purchase), settlement.reason)
      return withNotice(reply, purchase, notSettled(purchase, settlement.reason, null))
    }
  }
}
