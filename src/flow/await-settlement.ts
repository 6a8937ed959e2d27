import type { KnownClaim } from '../ledger/ledger.ts'
import { type Purchase, recallRequest } from './purchase.ts'

type Recalled = KnownClaim | { readonly kind: 'unclaimed' }

/** How long a client waits that does not say. */
const WAIT_SECONDS = 5
/** Shorter than most clients, and the proxies before us, wait for an answer. */
const WAIT_SECONDS_MAX = 25
/** Another gateway on the same store finds things out too, and nobody tells us. */
const LOOK_AGAIN_MS = 1_000

/**
 * What the ledger knows of a payment. Where its settlement is open, the request waits for a while,
 * so that a client that sends it again has its content as soon as there is an answer.
 */
export async function recallSettled(
  purchase: Purchase,
  check: 'passed' | 'stale',
): Promise<Recalled> {
  const { exchange, house } = purchase.visit
  const recall = (): Promise<Recalled> => house.ledger.recall(recallRequest(purchase, check))
  let known = await recall()
  if (known.kind !== 'settlement-pending') return known
  const waitMs = preferredWaitSeconds(exchange.headerValues('prefer')) * 1000
  const waiting = house.settlements?.enter(purchase.payment.key) ?? null
  if (waiting === null) return known
  const endsAt = house.clock() + waitMs
  const stopListening = exchange.onClientGone(waiting.ring)
  try {
    for (;;) {
      const leftMs = endsAt - house.clock()
      if (leftMs <= 0) return known
      await waiting.news(Math.min(leftMs, LOOK_AGAIN_MS))
      // Whoever redeems must still be there to get it.
      if (waiting.isOver || exchange.clientGone) return known
      known = await recall()
      if (known.kind !== 'settlement-pending') return known
    }
  } finally {
    stopListening()
    waiting.leave()
  }
}

/** `Prefer: wait=10` (RFC 7240 section 4.3), as far as we go along with it. */
export function preferredWaitSeconds(prefer: readonly string[]): number {
  for (const preference of prefer.join(',').split(',')) {
    const [, seconds] = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;|$)/i.exec(preference) ?? []
    if (seconds !== undefined) return Math.min(Number(seconds), WAIT_SECONDS_MAX)
  }
  return WAIT_SECONDS
}
