import type { NotSent, Receipt, Settlement } from '../core/payment.ts'
import type { ClaimId, KnownClaim } from '../ledger/ledger.ts'
import type { UpstreamOutcome } from '../upstream/upstream.ts'
import { type SettlementNotice, settlementHeader } from '../x402/receipt.ts'
import { asPrivate, problemReply, withHeaders } from './answers.ts'
import { recallSettled } from './await-settlement.ts'
import type { Reply } from './exchange.ts'
import { forwardPaid, upstreamFailure } from './forward.ts'
import type { Purchase } from './purchase.ts'
import { paymentRequired } from './refusals.ts'
import type { RoutePrice } from './route.ts'

/** Serves a claimed payment's request and moves its money, in the order that the route asks for. */
export function sell(purchase: Purchase, id: ClaimId): Promise<Reply> {
  return purchase.route.settle === 'before-upstream'
    ? settleThenForward(purchase, id)
    : forwardThenSettle(purchase, id)
}

/** Answers for a payment that the ledger knows already. */
export async function answerKnown(purchase: Purchase, known: KnownClaim): Promise<Reply> {
  switch (known.kind) {
    case 'entitled':
      return redeem(purchase, known.id, known.receipt)
    case 'in-progress':
      return problemReply('payment_in_progress')
    case 'settlement-pending':
      return pending(purchase, null)
    case 'used':
      return withReceipt(problemReply('payment_already_used'), purchase, known.receipt)
    case 'other-request':
      return problemReply('payment_for_other_request')
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
  const known = await recallSettled(purchase)
  if (known.kind !== 'unclaimed') return answerKnown(purchase, known)
  return paymentRequired(price, visit, pathOf(purchase), reason)
}

/** An upstream's error costs nothing, and nothing is buffered: back-pressure holds the body. */
async function forwardThenSettle(purchase: Purchase, id: ClaimId): Promise<Reply> {
  const { visit, route } = purchase
  const { ledger } = visit.house
  const outcome = await forwardPaid(purchase)
  if (outcome.kind !== 'response') {
    await ledger.release(id, outcome.kind)
    return upstreamFailure(outcome)
  }
  const { status, headers, body } = outcome
  try {
    if (visit.exchange.clientGone || !route.isBillable(status)) {
      await ledger.release(id, visit.exchange.clientGone ? 'client_gone' : 'not_billable')
      return { status, headers, body, outcome: 'not_billable' }
    }
    await ledger.markSettling(id)
    const settlement = await settle(purchase, id)
    if (settlement.kind === 'settled') return paidReply(purchase, id, outcome)
    body.cancel()
    return notSettled(purchase, settlement)
  } catch (error) {
    body.cancel()
    throw error
  }
}

/** For costly or non-repeatable work: what fails after the settlement stays redeemable. */
async function settleThenForward(purchase: Purchase, id: ClaimId): Promise<Reply> {
  const settlement = await settle(purchase, id)
  if (settlement.kind !== 'settled') return notSettled(purchase, settlement)
  return redeem(purchase, id, settlement.receipt)
}

/** The money has moved; one execution is owed. */
async function redeem(purchase: Purchase, id: ClaimId, receipt: Receipt): Promise<Reply> {
  purchase.visit.receipt = receipt
  const { ledger } = purchase.visit.house
  const outcome = await forwardPaid(purchase)
  if (outcome.kind !== 'response') {
    await ledger.endHold(id)
    return withReceipt(upstreamFailure(outcome), purchase, receipt)
  }
  if (purchase.route.isBillable(outcome.status)) return paidReply(purchase, id, outcome)
  const reply = { ...outcome, outcome: 'paid_not_billable' }
  return {
    ...withReceipt(reply, purchase, receipt),
    afterDelivery: () => ledger.endHold(id),
  }
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
      return ledger.markSettled(id, settlement.receipt).then(
        () => settlement,
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
      await ledger.release(id, settlement.reason)
      return settlement
    case 'not-sent':
      await ledger.release(id, 'settle was not sent')
      return settlement
  }
}

function paidReply(
  purchase: Purchase,
  id: ClaimId,
  response: Extract<UpstreamOutcome, { kind: 'response' }>,
): Reply {
  const { ledger } = purchase.visit.house
  const { status, headers, body } = response
  return {
    ...withReceipt({ status, headers, body, outcome: 'paid' }, purchase, purchase.visit.receipt),
    afterDelivery: delivery =>
      delivery === 'delivered' ? ledger.markDelivered(id) : ledger.endHold(id),
  }
}

function notSettled(
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
      return withNotice(reply, purchase, notice(purchase, settlement.reason, null))
    }
  }
}

function pathOf({ target }: Purchase): string {
  return target.split('?', 1)[0] ?? target
}

function pending(purchase: Purchase, transaction: string | null): Reply {
  const reply = problemReply('settlement_pending')
  return withNotice(reply, purchase, notice(purchase, 'settlement_pending', transaction))
}

function withReceipt(reply: Reply, purchase: Purchase, receipt: Receipt | null): Reply {
  return receipt === null ? reply : withNotice(reply, purchase, { kind: 'settled', receipt })
}

function withNotice(reply: Reply, purchase: Purchase, settled: SettlementNotice): Reply {
  const { v1Network } = purchase.payment.offer
  const header = settlementHeader(settled, purchase.version, v1Network)
  return withHeaders({ ...reply, headers: asPrivate(reply.headers) }, header)
}

function notice(purchase: Purchase, reason: string, transaction: string | null): SettlementNotice {
  const { payer, offer } = purchase.payment
  const { network } = offer.requirements
  return { kind: 'not-settled', reason, network, payer, transaction: transaction ?? '' }
}
