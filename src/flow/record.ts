import type { RequestFinished } from '../observe/events.ts'
import type { Delivery, Reply } from './exchange.ts'
import { paymentId } from './fingerprint.ts'
import type { Visit } from './house.ts'

/**
 * What logs and metrics learn of a request. Never a path's query, a header or a payment's bytes.
 */
export function toRequestFinished(visit: Visit, reply: Reply, delivery: Delivery): RequestFinished {
  const { exchange, route, upstreamMs } = visit
  return {
    requestId: exchange.requestId,
    route: route?.key ?? null,
    method: exchange.method,
    status: reply.status,
    outcome: delivery === 'delivered' ? reply.outcome : `${reply.outcome}_aborted`,
    durationMs: visit.house.clock() - visit.startedAt,
    clientAddress: exchange.clientAddress,
    ...(visit.limitedBy === null ? {} : { limitedBy: visit.limitedBy }),
    ...(upstreamMs === null ? {} : { upstreamMs }),
    ...clientOf(visit),
    ...paymentOf(visit, reply),
    ...shadowOf(visit),
  }
}

function shadowOf({ shadow }: Visit): Pick<RequestFinished, 'shadow'> {
  if (shadow === null) return {}
  const { offer, isDue, payment } = shadow
  return {
    shadow: {
      network: offer.requirements.network,
      asset: offer.symbol,
      amount: offer.amount,
      decimals: offer.decimals,
      due: isDue,
      payment: payment.kind,
      reason: 'reason' in payment ? payment.reason : null,
    },
  }
}

function clientOf({ client }: Visit): Pick<RequestFinished, 'client' | 'credentialFlaw'> {
  if (client === null) return {}
  if (client.kind === 'refused') return { credentialFlaw: client.reason }
  return { client: { by: client.by, name: client.name } }
}

function paymentOf(
  { payment, receipt, charged }: Visit,
  reply: Reply,
): Pick<RequestFinished, 'payment'> {
  if (payment === null) return {}
  const { offer } = payment
  return {
    payment: {
      id: paymentId(payment.key),
      network: offer.requirements.network,
      asset: offer.symbol,
      amount: offer.amount,
      decimals: offer.decimals,
      payer: payment.payer,
      transaction: receipt?.transaction ?? null,
      outcome: reply.outcome,
      charged,
    },
  }
}
