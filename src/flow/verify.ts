import type { Payment, Verdict } from '../core/payment.ts'
import { claimedPayer } from '../x402/claimed-payer.ts'
import type { DecodedPayment, MalformedReason } from '../x402/decode-payment.ts'
import { addressGroup } from './address-group.ts'
import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { ProblemCode } from './problems.ts'
import { retryAfter } from './rate-limits.ts'
import type { Barred, Barrier } from './verification-gate.ts'

const CODES: Readonly<Record<Barrier, ProblemCode>> = {
  refused_payer: 'too_many_refused_payments',
  refused_address: 'too_many_refused_payments',
  payer_concurrency: 'too_many_verifications',
  address_concurrency: 'too_many_verifications',
  newcomers: 'too_many_verifications',
  smart_wallets: 'verification_budget_spent',
  strangers: 'too_many_verifications',
}

/** Asks a facilitator about a payment, unless too many were asked about that are worth nothing. */
export async function verify(
  visit: Visit,
  payment: Payment,
): Promise<Verdict | { readonly kind: 'limited'; readonly reply: Reply }> {
  const { house, snapshot } = visit
  const entry = house.gate.enter(groupOf(visit), payment)
  if (entry.kind === 'barred') return { kind: 'limited', reply: barred(visit, entry) }
  let found: Verdict['kind'] = 'unavailable'
  try {
    const verdict = await snapshot.engine.verify(payment)
    found = verdict.kind
    return verdict
  } finally {
    entry.leave(found)
  }
}

/** Null: the payment is worth finding out whether it is any good. */
export function overJunkLimits(
  visit: Visit,
  decoded: Exclude<DecodedPayment, { kind: 'absent' }>,
): Reply | null {
  const claimed = decoded.kind === 'payment' ? claimedPayer(decoded.presented) : null
  const look = visit.house.gate.look(groupOf(visit), claimed)
  return look.kind === 'barred' ? barred(visit, look) : null
}

export function malformedPayment(visit: Visit, reason: MalformedReason): Reply {
  noteRefusal(visit)
  return problemReply('malformed_payment', { detail: reason })
}

/** A payment of this request was refused without asking anybody. */
export function noteRefusal(visit: Visit): void {
  visit.house.gate.refused(groupOf(visit))
}

/** A payment of this request moved money. */
export function notePaid(visit: Visit, payment: Payment): void {
  visit.house.gate.paid(groupOf(visit), payment)
}

/** A payment of this request had moved money before, and has not got what it is for. */
export function noteOwed(visit: Visit, payment: Payment): void {
  visit.house.gate.owed(groupOf(visit), payment)
}

function groupOf({ exchange }: Visit): string {
  return addressGroup(exchange.clientAddress)
}

function barred(visit: Visit, { by, retryAfterMs }: Barred): Reply {
  visit.limitedBy = by
  return problemReply(CODES[by], { retryAfterSeconds: retryAfter({ resetMs: retryAfterMs }) })
}
