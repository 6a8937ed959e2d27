import type { Receipt } from '../core/payment.ts'
import { type SettlementNotice, settlementHeader } from '../x402/receipt.ts'
import { asPrivate, problemReply, withHeaders } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Purchase } from './purchase.ts'

export function withReceipt(reply: Reply, purchase: Purchase, receipt: Receipt | null): Reply {
  return receipt === null ? reply : withNotice(reply, purchase, { kind: 'settled', receipt })
}

/** Says what became of the payment in the protocol version of the client that presents it. */
export function withNotice(reply: Reply, purchase: Purchase, settled: SettlementNotice): Reply {
  const { v1Network } = purchase.payment.offer
  const header = settlementHeader(settled, purchase.version, v1Network)
  return withHeaders({ ...reply, headers: asPrivate(reply.headers) }, header)
}

export function pending(purchase: Purchase, transaction: string | null): Reply {
  const reply = problemReply('settlement_pending')
  return withNotice(reply, purchase, notSettled(purchase, 'settlement_pending', transaction))
}

export function notSettled(
  purchase: Purchase,
  reason: string,
  transaction: string | null,
): SettlementNotice {
  const { payer, offer } = purchase.payment
  const { network } = offer.requirements
  return { kind: 'not-settled', reason, network, payer, transaction: transaction ?? '' }
}
