import {
  ClientGoneError,
  FacilitatorUnavailableError,
  RequestBodyTooLargeError,
  StoreUnavailableError,
} from '../errors.ts'
import type { AmbiguousTarget } from '../routing/request-target.ts'
import { NOT_PAID } from '../x402/challenge.ts'
import type { DecodedPayment } from '../x402/decode-payment.ts'
import { addressGroup } from './address-group.ts'
import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import { upstreamFailure } from './forward.ts'
import type { Visit } from './house.ts'
import { retryAfter } from './rate-limits.ts'
import type { Route, RouteMatch, RoutePrice } from './route.ts'
import { noteRefusal } from './verify.ts'

export function badTarget(reason: AmbiguousTarget): Reply {
  const code = reason === 'too-long' ? 'target_too_long' : 'bad_request_target'
  return problemReply(code, { detail: reason })
}

export function notListed(match: Exclude<RouteMatch, { kind: 'route' }>): Reply {
  if (match.kind === 'no-such-route') return problemReply('no_such_route')
  return problemReply('method_not_allowed', { headers: ['Allow', match.allow.join(', ')] })
}

/** Version 1 has no extensions: it cannot be asked for one. */
export function lacksIdentifier(
  { version, presented }: Extract<DecodedPayment, { kind: 'payment' }>,
  route: Route,
): boolean {
  return route.identifierRequired && version === 2 && presented.identifier === null
}

/**
 * The 402 of a request whose payment nobody was asked about, unless its address has had too many.
 *
 * @param reason As of `paymentRequired`.
 */
export function askForPayment(
  price: Extract<RoutePrice, { kind: 'paid' }>,
  visit: Visit,
  path: string,
  reason: string = NOT_PAID,
): Reply {
  if (reason !== NOT_PAID) noteRefusal(visit)
  return overUnpaid(visit) ?? paymentRequired(price, visit, path, reason)
}

function overUnpaid(visit: Visit): Reply | null {
  const { unpaid } = visit.config.limits
  if (unpaid === null) return null
  const rate = { id: 'unpaid', ...unpaid }
  const tally = visit.house.rates.add(rate, addressGroup(visit.exchange.clientAddress))
  if (tally.count <= unpaid.requests) return null
  visit.limitedBy = 'unpaid'
  return problemReply('too_many_unpaid_requests', { retryAfterSeconds: retryAfter(tally) })
}

/**
 * The 402. Writes nothing and calls nobody.
 *
 * @param reason Why the payment that came was refused; `payment_required` when none came.
 */
export function paymentRequired(
  price: Extract<RoutePrice, { kind: 'paid' }>,
  visit: Visit,
  path: string,
  reason: string = NOT_PAID,
): Reply {
  // Nobody is known who could take the money: asking for it would be asking for nothing.
  if (price.challenge === null) return problemReply('facilitator_unavailable')
  // Nor is there anything to sell while the API is down.
  const condition = visit.route?.upstream.condition()
  if (condition?.kind === 'unavailable') return upstreamFailure(condition)
  // Without the query: it may hold secrets, and a challenge travels to facilitators and indexes.
  const { body, paymentRequired } = price.challenge.answer(visit.exchange.origin + path, reason)
  return {
    status: 402,
    headers: [
      'Content-Type',
      'application/json',
      'Cache-Control',
      'no-store',
      'PAYMENT-REQUIRED',
      paymentRequired,
    ],
    body,
    outcome: reason === NOT_PAID ? NOT_PAID : 'payment_refused',
  }
}

const GONE = { outcome: 'client_gone' } as const

/** Something broke. Nothing was served, and no settle of this request is left without a record. */
export function answerFailure(error: unknown, visit: Visit): Reply {
  // Nobody is left to read it, and nothing is broken; it only tells the log.
  if (error instanceof ClientGoneError) return { ...problemReply('internal_error'), ...GONE }
  visit.house.reportError(error, visit)
  if (error instanceof StoreUnavailableError) return problemReply('store_unavailable')
  if (error instanceof FacilitatorUnavailableError) return problemReply('facilitator_unavailable')
  if (error instanceof RequestBodyTooLargeError) return problemReply('body_too_large')
  return problemReply('internal_error')
}
