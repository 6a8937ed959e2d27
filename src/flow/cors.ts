import { valuesOf, withoutHeaders } from '../core/header-list.ts'
import type { Exchange, Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import type { RouteCors, Snapshot } from './route.ts'

/** What a page in a browser must be able to read to pay, to wait, and to show its receipt. */
const EXPOSED = [
  'PAYMENT-REQUIRED',
  'PAYMENT-RESPONSE',
  'X-PAYMENT-RESPONSE',
  'Farebox-Replayed',
  'Farebox-Free-Remaining',
  'Retry-After',
  'RateLimit',
]

/** What a page must be able to send. */
const PAYMENT_REQUEST_HEADERS = ['PAYMENT-SIGNATURE', 'X-PAYMENT']

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

interface Preflight {
  readonly origin: string
  /** Of the request that the browser would like to send. */
  readonly method: string
}

/** What a browser asks before it lets a page send (Fetch standard, "CORS-preflight request"). */
function readPreflight({ method, headerValues }: Exchange): Preflight | null {
  if (method !== 'OPTIONS') return null
  const [origin] = headerValues('origin')
  const [wanted] = headerValues('access-control-request-method')
  return origin === undefined || wanted === undefined ? null : { origin, method: wanted }
}

/**
 * Answers a browser's preflight for a route with CORS on: it is neither priced nor forwarded. Null
 * for every other request.
 */
export function answerPreflight(
  exchange: Exchange,
  snapshot: Snapshot,
  path: string,
): Reply | null {
  const preflight = readPreflight(exchange)
  if (preflight === null) return null
  const { origin, method } = preflight
  const match = snapshot.match(method, path)
  if (match.kind !== 'route' || match.value.cors === null) return null
  const { cors } = match.value
  const allowed = originHeaders(cors, origin)
  if (allowed === null) return { status: 403, headers: [], body: Buffer.alloc(0), outcome: 'cors' }
  return {
    status: 204,
    headers: [
      ...allowed,
      ...(cors.anyOrigin ? [] : ['Vary', 'Origin']),
      'Access-Control-Allow-Methods',
      method,
      'Access-Control-Allow-Headers',
      allowedHeaders(exchange),
      'Access-Control-Max-Age',
      String(cors.maxAgeSeconds),
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

/**
 * Adds what a browser needs to let the page read the reply; the upstream's own word gives way.
 * Answers to what no route matched are for the pages that the file allows by default.
 */
export function withCors(reply: Reply, visit: Visit): Reply {
  const { route, snapshot, exchange } = visit
  const cors = route === null ? snapshot.cors : route.cors
  if (cors === null) return reply
  // It has its answer, or is about something that is not listed.
  if (route === null && readPreflight(exchange) !== null) return reply
  const kept = withoutCors(reply.headers)
  // Also where nothing is allowed: a cache must not give this reply to a page that is.
  if (!cors.anyOrigin && !variesByOrigin(kept)) kept.push('Vary', 'Origin')
  const [origin] = exchange.headerValues('origin')
  const allowed = originHeaders(cors, origin)
  if (allowed === null) return { ...reply, headers: kept }
  const exposed = [...EXPOSED, ...cors.exposeHeaders].join(', ')
  return { ...reply, headers: [...kept, ...allowed, 'Access-Control-Expose-Headers', exposed] }
}

function originHeaders(cors: RouteCors, origin: string | undefined): string[] | null {
  // Also where no page asks: a cache may give that reply to one that does (Fetch, "CORS protocol
  // and HTTP caches"), and it does not vary by origin.
  if (cors.anyOrigin) return ['Access-Control-Allow-Origin', '*']
  if (origin === undefined || !cors.allows(origin)) return null
  const allowed = ['Access-Control-Allow-Origin', origin]
  return cors.credentials ? [...allowed, 'Access-Control-Allow-Credentials', 'true'] : allowed
}

function variesByOrigin(headers: readonly string[]): boolean {
  return valuesOf(headers, 'vary').some(value => {
    const fields = value.toLowerCase().split(',')
    return fields.some(field => field.trim() === 'origin' || field.trim() === '*')
  })
}

function withoutCors(headers: readonly string[]): string[] {
  return withoutHeaders(headers, name => name.toLowerCase().startsWith('access-control-'))
}
