import type { Offer } from '../core/payment.ts'
import { decodePayment } from '../x402/decode-payment.ts'
import { checkLocally } from '../x402/local-checks.ts'
import type { Reply } from './exchange.ts'
import { forwardFree } from './forward.ts'
import type { Visit } from './house.ts'
import { circumstancesOf } from './purchase.ts'
import { lacksIdentifier } from './refusals.ts'
import type { Route } from './route.ts'

/** What a request would have come to, had its route not been in shadow mode. */
export interface ShadowCharge {
  /** The one that was paid for, else the first. */
  readonly offer: Offer
  /** Whether money would have moved: the answer is one that is charged for. */
  readonly isDue: boolean
  readonly payment: ShadowPayment
}

/** What became of the payment that came along, as far as we can tell without asking anybody. */
export type ShadowPayment =
  | { readonly kind: 'absent' }
  /** `reason` is a code from a fixed set. */
  | { readonly kind: 'malformed' | 'refused'; readonly reason: string }
  /** It passed the local checks; nobody was asked, and it was not used. */
  | { readonly kind: 'passed'; readonly offer: Offer }

const SERVED = 'shadow'

/**
 * Serves a priced route for nothing, and keeps what it would have cost for log and metrics. A
 * payment that comes along is looked at and not used.
 */
export async function serveInShadow(visit: Visit, route: Route, path: string): Promise<Reply> {
  const payment = judgePayment(visit, route, path)
  const reply = await forwardFree(visit, route, SERVED)
  const offer = payment.kind === 'passed' ? payment.offer : route.shadow?.[0]
  if (offer !== undefined) {
    visit.shadow = { offer, isDue: isDue(visit, route, reply), payment }
  }
  return reply
}

function isDue({ exchange }: Visit, route: Route, { status, headers, outcome }: Reply): boolean {
  // It would have been paid before the API was asked, whatever came of that.
  if (route.settle === 'before-upstream') return outcome !== 'body_too_large'
  return outcome === SERVED && route.isBillable(status, headers) && !exchange.clientGone
}

function judgePayment(visit: Visit, route: Route, path: string): ShadowPayment {
  const decoded = decodePayment(visit.exchange.headerValues)
  if (decoded.kind !== 'payment') return decoded
  if (lacksIdentifier(decoded, route)) {
    return { kind: 'refused', reason: 'payment_identifier_required' }
  }
  const { price, shadow } = route
  const bound = price.kind === 'paid' ? price.offersAt(visit.startedAt) : []
  // Those of the file need no facilitator.
  const offers = bound.length > 0 ? bound : (shadow ?? [])
  const circumstances = circumstancesOf(visit, route, path)
  const check = checkLocally(decoded.presented, offers, circumstances)
  if (check.kind !== 'passed') return { kind: 'refused', reason: check.reason }
  return { kind: 'passed', offer: check.payment.offer }
}
