import { withoutHeaders } from '../core/header-list.ts'
import { canonicalHeaderName } from '../core/header-name.ts'
import { addressGroup } from './address-group.ts'
import { asPrivate } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { Purchase } from './purchase.ts'
import type { Route } from './route.ts'

/** Either brings a payment (x402 specification, HTTP transport v1 and v2). */
const PAYMENT_HEADERS = ['payment-signature', 'x-payment']

/**
 * Whether the request may go on without paying: its client is one that the route allows, or its
 * address has free requests left. Also learns who the client of a free route is, whose key must not
 * reach the API.
 */
export function isGiven(visit: Visit): Promise<boolean> | false {
  const { route } = visit
  // Most routes: what has no rules costs nothing.
  if (route === null || (route.access === null && route.freeQuota === null)) return false
  return isGivenBy(route, visit)
}

async function isGivenBy(route: Route, visit: Visit): Promise<boolean> {
  const { exchange } = visit
  if (route.access !== null) visit.client = await route.access.recognise(exchange)
  if (visit.client?.kind === 'known') return true
  const quota = route.freeQuota
  if (quota?.by !== 'address' || route.price.kind === 'free') return false
  // A payment may be a retry of one that was taken: it must find what it bought, not a gift.
  if (PAYMENT_HEADERS.some(name => exchange.headerValues(name).length > 0)) return false
  visit.freeLeft = await visit.house.freeQuotas.take(quota, addressGroup(exchange.clientAddress))
  return visit.freeLeft !== null
}

/**
 * Whether the payer has free requests left. Asked once a payment is known to be good: whoever could
 * not pay is nobody, and could be as many payers as he likes. A smart wallet's signature proves
 * nothing to us, so that it pays.
 */
export async function isGivenToPayer({ visit, route, payment }: Purchase): Promise<boolean> {
  const quota = route.freeQuota
  if (quota?.by !== 'payer' || payment.signature !== 'recovered') return false
  visit.freeLeft = await visit.house.freeQuotas.take(quota, payment.payer)
  return visit.freeLeft !== null
}

/** What the API learns of a client that it need not ask for a key: names and values in turn. */
export function clientHeaders({ client }: Visit): string[] {
  if (client?.kind !== 'known') return []
  const { by, name } = client
  return ['Farebox-Client-Type', by, ...(name === null ? [] : ['Farebox-Client', name])]
}

/** The client's headers without the secret that was for us, in whatever spelling. */
export function withoutCredential({ exchange, client }: Visit): readonly string[] {
  const { rawHeaders } = exchange
  const credential = client?.kind === 'known' ? client.credential : null
  if (credential === null) return rawHeaders
  return withoutHeaders(rawHeaders, name => canonicalHeaderName(name) === credential)
}

/** What nobody paid for, as the client gets it. */
export function givenReply({ client, freeLeft }: Visit, route: Route, reply: Reply): Reply {
  const isAllowed = client?.kind === 'known' && route.price.kind !== 'free'
  if (freeLeft === null && !isAllowed) return reply
  // No cache may hand on to whoever should pay what was given to somebody.
  const headers = asPrivate(reply.headers)
  if (freeLeft === null) return { ...reply, headers, outcome: 'allowed' }
  headers.push('Farebox-Free-Remaining', String(freeLeft))
  return { ...reply, headers, outcome: 'free_quota' }
}
