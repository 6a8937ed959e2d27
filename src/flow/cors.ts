import type { Exchange, Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { RouteCors, Snapshot } from './route.ts'

/** What a page in a browser must be able to read to pay and to show its receipt. */
const EXPOSED = 'PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, Farebox-Replayed'

/** What a page must be able to send. */
const PAYMENT_REQUEST_HEADERS = ['PAYMENT-SIGNATURE', 'X-PAYMENT']

const PREFLIGHT_MAX_AGE_SECONDS = '600'
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

/**
 * Answers a browser's preflight (Fetch standard, "CORS-preflight request") for a route with CORS
 * on. Null for every other request.
 */
export function answerPreflight(
  exchange: Exchange,
  snapshot: Snapshot,
  path: string,
): Reply | null {
  if (exchange.method !== 'OPTIONS') return null
  const [origin] = exchange.headerValues('origin')
  const [method] = exchange.headerValues('access-control-request-method')
  if (origin === undefined || method === undefined) return null
  const match = snapshot.match(method, path)
  if (match.kind !== 'route' || match.value.cors === null) return null
  const allowed = originHeaders(match.value.cors, origin)
  if (allowed === null) return { status: 403, headers: [], body: Buffer.alloc(0), outcome: 'cors' }
  return {
    status: 204,
    headers: [
      ...allowed,
      'Access-Control-Allow-Methods',
      method,
      'Access-Control-Allow-Headers',
      allowedHeaders(exchange),
      'Access-Control-Max-Age',
      PREFLIGHT_MAX_AGE_SECONDS,
    ],
    body: Buffer.alloc(0),
    outcome: 'preflight',
  }
}

function allowedHeaders(exchange: Exchange): string {
  const asked = exchange
    .headerValues('access-control-request-headers')
    .flatMap(value => value.split(','))
    .map(name => name.trim())
    .filter(name => HEADER_NAME.test(name))
  return [...PAYMENT_REQUEST_HEADERS, ...asked.slice(0, 64)].join(', ')
}

/** Adds what a browser needs to let the page read the reply; the upstream's own word gives way. */
export function withCors(reply: Reply, visit: Visit): Reply {
  const cors = visit.route?.cors ?? null
  if (cors === null) return reply
  const [origin] = visit.exchange.headerValues('origin')
  if (origin === undefined && cors.anyOrigin) return reply
  const kept = withoutCors(reply.headers)
  const allowed = origin === undefined ? null : originHeaders(cors, origin)
  // Also where nothing is allowed: a cache must not give this reply to a page that is.
  if (allowed === null) return { ...reply, headers: [...kept, 'Vary', 'Origin'] }
  return { ...reply, headers: [...kept, ...allowed, 'Access-Control-Expose-Headers', EXPOSED] }
}

function originHeaders(cors: RouteCors, origin: string): string[] | null {
  if (cors.anyOrigin) return ['Access-Control-Allow-Origin', '*']
  if (!cors.allows(origin)) return null
  return ['Access-Control-Allow-Origin', origin, 'Vary', 'Origin']
}

function withoutCors(headers: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!name.toLowerCase().startsWith('access-control-')) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}
