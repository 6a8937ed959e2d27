import type { Offer } from '../core/payment.ts'
import { type UnixMs, unixMs } from '../core/time.ts'

/** What a route has asked for: its offers of today, and those it quoted shortly before a reload. */
export interface Quotes {
  offersAt(now: UnixMs): readonly Offer[]
  /** Every quote that is still honoured, with its end. */
  standing(now: UnixMs): readonly StandingQuote[]
}

export interface StandingQuote {
  readonly offer: Offer
  readonly until: UnixMs
}

/** Reloads in quick succession must not pile up offers without end. */
const FORMER_OFFERS_MAX = 32

/** @param former What the route quoted until now; null for a new route. */
export function createQuotes(offers: readonly Offer[], former: Quotes | null, now: UnixMs): Quotes {
  const current = new Set(offers.map(identify))
  const kept = (former?.standing(now) ?? [])
    .filter(({ offer }) => !current.has(identify(offer)))
    .slice(0, FORMER_OFFERS_MAX)
  const lastEnd = Math.max(0, ...kept.map(({ until }) => until))
  return {
    offersAt(at) {
      if (at >= lastEnd) return offers
      return [...offers, ...kept.filter(({ until }) => at < until).map(({ offer }) => offer)]
    },
    standing: at => [
      ...offers.map(offer => ({ offer, until: endOf(offer, at) })),
      ...kept.filter(({ until }) => at < until),
    ],
  }
}

/** A client that was quoted at `quotedAt` may sign for this long. */
function endOf(offer: Offer, quotedAt: UnixMs): UnixMs {
  return unixMs(quotedAt + offer.requirements.maxTimeoutSeconds * 1000)
}

function identify({ requirements }: Offer): string {
  const { scheme, network, asset, amount, payTo, extra } = requirements
  return JSON.stringify([scheme, network, asset, amount, payTo, extra])
}
