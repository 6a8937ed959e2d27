import type { RateLimitConfig } from '../config/limits-config.ts'
import { valuesOf } from '../core/header-list.ts'
import type { Payment } from '../core/payment.ts'
import { addressGroup } from './address-group.ts'
import { problemReply, withHeaders } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { Rate, Tally } from './rate-counters.ts'

/** One limit of a route, ready to be counted by. */
export interface RateLimit extends Rate {
  readonly by: RateLimitConfig['by']
  /** What clients hear it called ("address-1m"). */
  readonly name: string
}

/** The limits of one route. */
export interface RateLimits {
  /** Counted before the price is looked at. */
  readonly early: readonly RateLimit[]
  readonly byPayer: readonly RateLimit[]
  /** Value of RateLimit-Policy. */
  readonly policy: string
}

/** What is left of the limit of which least is left. */
export interface RateLeft {
  readonly limit: RateLimit
  readonly remaining: number
  readonly resetMs: number
}

/** Null where nothing is limited: such a route pays nothing for limits. */
export function compileRateLimits(configs: readonly RateLimitConfig[]): RateLimits | null {
  if (configs.length === 0) return null
  const limits = configs.map(toLimit)
  return {
    early: limits.filter(({ by }) => by !== 'payer'),
    byPayer: limits.filter(({ by }) => by === 'payer'),
    policy: limits
      .map(({ name, requests, perMs }) => `"${name}";q=${requests};w=${seconds(perMs)}`)
      .join(', '),
  }
}

function toLimit({ requests, perMs, by, route }: RateLimitConfig): RateLimit {
  const name = `${by}-${seconds(perMs)}s`
  return { id: `${route ?? ''} ${name}`, requests, perMs, by, name }
}

/** Null: the request is within the limits of its route, as far as they count no payers. */
export function overRateLimit(visit: Visit): Reply | null {
  const { route, exchange } = visit
  if (route?.rateLimits == null) return null
  for (const limit of route.rateLimits.early) {
    const subject = limit.by === 'route' ? route.key : addressGroup(exchange.clientAddress)
    const barred = count(visit, limit, subject)
    if (barred !== null) return barred
  }
  return null
}

/**
 * Null: the payer is within the limits. Only a signature tells who it is; for those that nobody but
 * the chain can check, the address stands in, so that no name can be used up by others.
 */
export function overPayerLimit(visit: Visit, payment: Payment): Reply | null {
  for (const limit of visit.route?.rateLimits?.byPayer ?? []) {
    const isPayers = payment.signature === 'recovered'
    const subject = isPayers ? payment.payer : addressGroup(visit.exchange.clientAddress)
    const barred = count(visit, limit, subject)
    if (barred !== null) return barred
  }
  return null
}

function count(visit: Visit, limit: RateLimit, subject: string): Reply | null {
  const tally = visit.house.rates.add(limit, subject)
  const remaining = Math.max(0, limit.requests - tally.count)
  if (visit.rateLeft === null || remaining <= visit.rateLeft.remaining) {
    visit.rateLeft = { limit, remaining, resetMs: tally.resetMs }
  }
  if (tally.count <= limit.requests) return null
  visit.limitedBy = limit.by
  return problemReply('rate_limited', {
    detail: `${limit.requests} requests in ${seconds(limit.perMs)} s by ${limit.by}`,
    retryAfterSeconds: retryAfter(tally),
  })
}

export function retryAfter({ resetMs }: Pick<Tally, 'resetMs'>): number {
  return Math.max(1, seconds(resetMs))
}

function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000)
}

/** May be given to others, who would take our client's count for theirs. */
const SHARED = /\b(?:public|s-maxage)\b/i

/**
 * Tells the client how its limits stand (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4:
 * lists of strings with the parameters q, w, r and t).
 */
export function withRateLimit(reply: Reply, { rateLeft, route }: Visit): Reply {
  if (rateLeft === null || route?.rateLimits == null) return reply
  if (reply.status < 400 && isShared(reply.headers)) return reply
  const { limit, remaining, resetMs } = rateLeft
  return withHeaders(reply, [
    'RateLimit-Policy',
    route.rateLimits.policy,
    'RateLimit',
    `"${limit.name}";r=${remaining};t=${seconds(resetMs)}`,
  ])
}

function isShared(headers: readonly string[]): boolean {
  return valuesOf(headers, 'cache-control').some(value => SHARED.test(value))
}
