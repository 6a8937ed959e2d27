import { readRequestTarget } from '../routing/request-target.ts'
import { decodePayment } from '../x402/decode-payment.ts'
import { checkLocally } from '../x402/local-checks.ts'
import { admit } from './admit.ts'
import { aim } from './aim.ts'
import { problemReply } from './answers.ts'
import { recallSettled } from './await-settlement.ts'
import { answerPreflight, withCors } from './cors.ts'
import type { Exchange, Reply } from './exchange.ts'
import { forwardFree, forwardUnspent, refuseUndeliverable } from './forward.ts'
import { isGiven, isGivenToPayer } from './gifts.ts'
import type { House, Visit } from './house.ts'
import { circumstancesOf, claimRequest, toPurchase } from './purchase.ts'
import { overPayerLimit, withRateLimit } from './rate-limits.ts'
import { answerInvalid, answerKnown } from './redeem.ts'
import { answerFailure, askForPayment, badTarget, lacksIdentifier, notListed } from './refusals.ts'
import { sell } from './sell.ts'
import { serveInShadow } from './shadow.ts'
import { malformedPayment, overJunkLimits, verify } from './verify.ts'

/** Every request walks this way; whatever happens on it, it is answered, delivered and recorded. */
export async function handleRequest(exchange: Exchange, house: House): Promise<void> {
  const visit = house.open(exchange)
  const reply = await walk(visit).catch((error: unknown) => answerFailure(error, visit))
  const delivery = await exchange.respond(withCors(withRateLimit(reply, visit), visit))
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
  if (decoded.kind === 'absent') return askForPayment(price, visit, target.path)
  const turnedAway = overJunkLimits(visit, decoded)
  if (turnedAway !== null) return house.holdBack.wait(turnedAway, exchange)
  if (decoded.kind === 'malformed') return malformedPayment(visit, decoded.reason)
  if (lacksIdentifier(decoded, route)) return problemReply('payment_identifier_required')
  const offers = price.offersAt(visit.startedAt)
  const circumstances = circumstancesOf(visit, route, target.path)
  const check = checkLocally(decoded.presented, offers, circumstances)
  if (check.kind === 'refused') return askForPayment(price, visit, target.path, check.reason)
  const { payment } = check
  visit.payment = payment
  const limited = overPayerLimit(visit, payment)
  if (limited !== null) return limited

  visit.lease = await house.leases.take(payment.key)
  if (visit.lease === null) return problemReply('payment_in_progress')

  const purchase = await toPurchase(visit, { route, target: target.full, payment, decoded })
  const known = await recallSettled(purchase, check.kind)
  if (known.kind !== 'unclaimed') return answerKnown(purchase, known)
  if (check.kind === 'stale') return askForPayment(price, visit, target.path, check.reason)

  const undeliverable = refuseUndeliverable(route)
  if (undeliverable !== null) return undeliverable
  const verdict = await verify(visit, payment)
  if (verdict.kind === 'limited') return verdict.reply
  if (verdict.kind === 'invalid') return answerInvalid(purchase, price, verdict.reason)
  if (verdict.kind === 'unavailable') return problemReply('facilitator_unavailable', verdict)

  if (await isGivenToPayer(purchase)) return forwardUnspent(purchase)
  const claim = await house.ledger.claim(claimRequest(purchase))
  if (claim.kind !== 'claimed') return answerKnown(purchase, claim)
  return sell(purchase, claim.id)
}
