import type { Payment, Verdict } from '../core/payment.ts'
import { claimedPayer } from '../x402/claimed-payer.ts'
import type { DecodedPayment, MalformedReason } from '../x402/decode-payment.ts'
import { addressGroup } from './address-group.ts'
import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { ProblemCode } from './problems.ts'
import { retryAfter } from './rate-limits.ts'
import type { Barrier } from './verification-gate.ts'

const CODES: Readonly<Record<Barrier, ProblemCode>> = {
  refused_payer: 'too_many_refused_payments',
  refused_address: 'too_many_refused_payments',
  payer_concurrency: 'too_many_verifications',
  address_concurrency: 'too_many_verifications',
  newcomers: 'too_many_verifications',
  smart_wallets: 'verification_budget_spent',
}

/** Asks a facilitator about a payment, unless too many were asked about that are worth nothing. */
export async function verify(
  visit: Visit,
  payment: Payment,
): Promise<Verdict | { readonly kind: 'limited'; readonly reply: Reply }> {
  const { exchange, house, snapshot } = visit
  const entry = house.gate.enter(addressGroup(exchange.clientAddress), payment)
  if (entry.kind === 'barred') {
    return { kind: 'limited', reply: barred(visit, entry.by, entry.retryAfterMs) }
  }
  let found: Verdict['kind'] = 'unavailable'
  try {
    const verdict = await snapshot.engine.verify(payment)
    found = verdict.kind
    return verdict
  } finally {
    entry.leave(found)
  }
}

/** Null: the signature is worth finding out whose it is, which is the dearest of our own checks. */
export function overRefusals(
  visit: Visit,
  { presented }: Extract<DecodedPayment, { kind: 'payment' }>,
): Reply | null {
  const { gate } = visit.house
  visit.claimedPayer = () => claimedPayer(presented)
  if (gate.mayCheck(addressGroup(visit.exchange.clientAddress), visit.claimedPayer)) return null
  return barred(visit, 'refused_address', visit.config.limits.verify.refused.perMs)
}

export function malformedPayment(visit: Visit, reason: MalformedReason): Reply {
  noteRefusal(visit)
  return problemReply('malformed_payment', { detail: reason })
}

/** A payment of this request was refused without asking anybody. */
export function noteRefusal({ house, exchange, claimedPayer: claimed }: Visit): void {
  house.gate.refused(addressGroup(exchange.clientAddress), claimed ?? (() => null))
}

function barred(visit: Visit, by: Barrier, retryAfterMs: number): Reply {
  visit.limitedBy = by
  return problemReply(CODES[by], { retryAfterSeconds: retryAfter({ resetMs: retryAfterMs }) })
}
