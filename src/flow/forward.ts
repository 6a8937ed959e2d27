import type { Readable } from 'node:stream'
import { formatAmount } from '../core/amount.ts'
import type { Refused, UpstreamOutcome } from '../upstream/upstream.ts'
import { problemReply } from './answers.ts'
import type { ReadBody, Reply } from './exchange.ts'
import { paymentId } from './fingerprint.ts'
import { clientHeaders, givenReply, withoutCredential } from './gifts.ts'
import type { Visit } from './house.ts'
import type { Bought, Purchase } from './purchase.ts'
import type { Route } from './route.ts'
import { forwardRequest } from './websocket/handshake.ts'

/** @param served What log and metrics call it when the upstream answers. */
export async function forwardFree(visit: Visit, route: Route, served = 'free'): Promise<Reply> {
  const body = visit.exchange.bodyStream()
  const addedHeaders = clientHeaders(visit)
  const outcome = await send(visit, route, { body, addedHeaders })
  if (outcome.kind !== 'response') return upstreamFailure(outcome)
  return givenReply(visit, route, { ...outcome, outcome: served })
}

/** Forwards a request whose payment stays unspent: its payer has free requests left. */
export async function forwardUnspent({ visit, route, payment, body }: Purchase): Promise<Reply> {
  const addedHeaders = ['Farebox-Payer', payment.payer]
  const outcome = await send(visit, route, { body: bytesOf(body), addedHeaders })
  if (outcome.kind !== 'response') return upstreamFailure(outcome)
  return givenReply(visit, route, { ...outcome, outcome: 'free' })
}

/** Forwards a paid request. The upstream learns who paid from headers that clients cannot set. */
export function forwardPaid(purchase: Purchase, bought: Bought): Promise<UpstreamOutcome> {
  const { visit, route, payment, body } = purchase
  const { key, amount, decimals, symbol } = bought
  const id = paymentId(key)
  const addedHeaders = [
    'Farebox-Payer',
    payment.payer,
    'Farebox-Payment-Id',
    id,
    'Farebox-Amount',
    `${formatAmount(amount, decimals)} ${symbol}`,
  ]
  // One payment is one operation, however often it is redeemed; a client's own key is its own.
  if (visit.exchange.headerValues('idempotency-key').length === 0) {
    addedHeaders.push('Idempotency-Key', id)
  }
  // What is paid and will be kept is worth having, even while nobody waits for it.
  const outlivesClient = route.replay !== null && visit.receipt !== null
  return send(visit, route, { body: bytesOf(body), addedHeaders, outlivesClient })
}

/** Null where there is none. */
function bytesOf(body: ReadBody): Buffer | Readable | null {
  if (body.kind === 'stream') return body.stream
  return body.bytes.length === 0 ? null : body.bytes
}

async function send(
  visit: Visit,
  route: Route,
  request: {
    readonly body: Buffer | Readable | null
    readonly addedHeaders: readonly string[]
    readonly outlivesClient?: boolean
  },
): Promise<UpstreamOutcome> {
  const { exchange, house } = visit
  const startedAt = house.clock()
  const watch = { stop: () => {} }
  const added = [...forwardedHeaders(exchange), ...request.addedHeaders]
  if (route.hostFor !== null) added.push('Host', route.hostFor(exchange.host ?? ''))
  const sent = withoutCredential(visit)
  const { headers } = route
  const outcome = await forwardRequest(
    visit,
    route,
    {
      method: exchange.method,
      target: visit.forwardedTarget,
      rawHeaders: headers === null ? sent : headers.request(sent),
      addedHeaders: headers === null ? added : [...headers.request(added), ...headers.added],
      body: request.body,
      timeoutMs: route.timeoutMs,
    },
    abort => {
      if (request.outlivesClient !== true) watch.stop = exchange.onClientGone(abort)
    },
  )
  watch.stop()
  visit.upstreamMs = house.clock() - startedAt
  if (headers === null || outcome.kind !== 'response') return outcome
  const { response, body } = headers
  return { ...outcome, headers: response(outcome.headers), body: body(outcome.body) }
}

/** Who asked, as far as we know it ourselves. */
function forwardedHeaders(exchange: Visit['exchange']): string[] {
  return [
    'X-Forwarded-For',
    exchange.forwardedFor,
    'X-Real-IP',
    exchange.clientAddress,
    'X-Forwarded-Host',
    exchange.host ?? '',
    'X-Forwarded-Proto',
    exchange.origin.startsWith('https:') ? 'https' : 'http',
  ]
}

/** What the client hears when there is no response to pass on. */
export function upstreamFailure(outcome: Exclude<UpstreamOutcome, { kind: 'response' }>): Reply {
  switch (outcome.kind) {
    case 'timeout':
      return problemReply('upstream_timeout')
    case 'unavailable':
    case 'overloaded':
      return upstreamRefusal(outcome)
    case 'body-too-large':
      return problemReply('body_too_large')
    case 'unreachable':
      return problemReply('upstream_unreachable')
    case 'aborted':
      // Nobody is left to read it; it only tells the log.
      return { ...problemReply('upstream_unreachable'), outcome: 'client_gone' }
  }
}

/** Nothing was sent, for nobody there would take it. */
function upstreamRefusal(refused: Refused): Reply {
  if (refused.kind === 'overloaded') return problemReply('upstream_overloaded')
  const retryAfterSeconds = Math.max(1, Math.ceil(refused.retryAfterMs / 1000))
  return problemReply('upstream_unavailable', { retryAfterSeconds })
}

/** No payment is taken for what could not be delivered now. Null: it may go on. */
export function refuseUndeliverable({ upstream }: Route): Reply | null {
  const condition = upstream.condition()
  return condition.kind === 'ready' ? null : upstreamRefusal(condition)
}
