import { readRequestTarget } from '../routing/request-target.ts'
import { decodePayment } from '../x402/decode-payment.ts'
import { checkLocally } from '../x402/local-checks.ts'
import { admit } from './admit.ts'
import { aim } from './aim.ts'
import { problemReply } from './answers.ts'
import { recallSettled } from './await-settlement.ts'
import { answerPreflight, withCors } from './cors.ts'
import type { Exchange, Reply } from './exchange.ts'
import { forwardFree, forwardUnspent } from './forward.ts'
import { isGiven, isGivenToPayer } from './gifts.ts'
import type { House, Visit } from './house.ts'
import { circumstancesOf, claimRequest, toPurchase } from './purchase.ts'
import { answerInvalid, answerKnown } from './redeem.ts'
import {
  answerFailure,
  badTarget,
  lacksIdentifier,
  notListed,
  paymentRequired,
} from './refusals.ts'
import { sell } from './sell.ts'
import { serveInShadow } from './shadow.ts'

/** Every request walks this way; whatever happens on it, it is answered, delivered and recorded. */
export async function handleRequest(exchange: Exchange, house: House): Promise<void> {
  const visit = house.open(exchange)
  const reply = await walk(visit).catch((error: unknown) => answerFailure(error, visit))
  const delivery = await exchange.respond(withCors(reply, visit))
  await house.close(visit, reply, delivery)
}

/** THE CORRIDOR. Every branch is decided here; every room behind it is a straight line. */
async function walk(visit: Visit): Promise<Reply> {
  const { exchange, house, snapshot } = visit

  if (exchange.flaw !== null) return problemReply(exchange.flaw.code, exchange.flaw)
  const target = readRequestTarget(exchange.rawTarget, exchange.host)
  if (target.kind === 'ambiguous') return badTarget(target.reason)
  const preflight = answerPreflight(exchange, snapshot, target.path)
  if (preflight !== null) return preflight

  const match = snapshot.match(exchange.method, target.path)
  if (match.kind !== 'route') return notListed(match)
  const route = match.value
  visit.route = route
  const barred = aim(visit, target) ?? admit(visit)
  if (barred !== null) return barred

  const { price } = route
  if ((await isGiven(visit)) || price.kind === 'free') return forwardFree(visit, route)
  if (route.shadow !== null) return serveInShadow(visit, route, target.path)
  const decoded = decodePayment(exchange.headerValues)
  if (decoded.kind === 'absent') return paymentRequired(price, visit, target.path)
  if (decoded.kind === 'malformed') {
    return problemReply('malformed_payment', { detail: decoded.reason })
  }
  if (lacksIdentifier(decoded, route)) return problemReply('payment_identifier_required')
  const offers = price.offersAt(visit.startedAt)
  const circumstances = circumstancesOf(visit, route, target.path)
  const check = checkLocally(decoded.presented, offers, circumstances)
  if (check.kind === 'refused') return paymentRequired(price, visit, target.path, check.reason)
  const { payment } = check
  visit.payment = payment

  visit.lease = await house.leases.take(payment.key)
  if (visit.lease === null) return problemReply('payment_in_progress')

  const purchase = await toPurchase(visit, { route, target: target.full, payment, decoded })
  const known = await recallSettled(purchase, check.kind)
  if (known.kind !== 'unclaimed') return answerKnown(purchase, known)
  if (check.kind === 'stale') return paymentRequired(price, visit, target.path, check.reason)

  if (payment.signature === 'not-recovered' && !house.unrecoveredBudget.take()) {
    return problemReply('verification_budget_spent')
  }
  const verdict = await snapshot.engine.verify(payment)
  if (verdict.kind === 'invalid') return answerInvalid(purchase, price, verdict.reason)
  if (verdict.kind === 'unavailable') return problemReply('facilitator_unavailable', verdict)

  if (await isGivenToPayer(purchase)) return forwardUnspent(purchase)
  const claim = await house.ledger.claim(claimRequest(purchase))
  if (claim.kind !== 'claimed') return answerKnown(purchase, claim)
  return sell(purchase, claim.id)
}
