import type { RouteAccess } from '../access/access.ts'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config.ts'
import type { CorsConfig } from '../config/shaping-config.ts'
import type { Offer, ResourceInfo } from '../core/payment.ts'
import type { UnixMs } from '../core/time.ts'
import { parseRouteKey, type Segment } from '../routing/pattern.ts'
import { createRouteTable, type RouteTable } from '../routing/route-table.ts'
import {
  type PathTemplate,
  parsePathTemplate,
  withoutSegments,
} from '../routing/target-template.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { type ChallengeCache, createChallenge } from '../x402/challenge.ts'
import { gasSponsoringIn } from '../x402/gas-sponsoring.ts'
import type { PaymentEngine } from '../x402/payment-engine.ts'
import { createAnswer } from './answer-route.ts'
import { saysGrpcFailure } from './grpc.ts'
import { createQuotes, type Quotes } from './quotes.ts'
import { compileRateLimits } from './rate-limits.ts'
import type { Route, RouteCors, RoutePrice, Snapshot } from './route.ts'
import { settleMsMax } from './settle-time.ts'
import { compileHeaderShaping } from './shape-headers.ts'

/** A snapshot, and what the next one needs to know of it. */
export interface CompiledSnapshot extends Snapshot {
  /** What each paid route has quoted, by route key. */
  readonly quotes: ReadonlyMap<string, Quotes>
  /** Priced routes that some facilitator takes payments for. */
  readonly payableRoutes: number
}

export interface SnapshotParts {
  readonly engine: PaymentEngine
  /** By name. */
  readonly upstreams: ReadonlyMap<string, Upstream>
  /** Who may come in, by route key. */
  readonly access: ReadonlyMap<string, RouteAccess>
  /** The snapshot in force until now; null at the start. */
  readonly previous: CompiledSnapshot | null
  readonly now: UnixMs
}

/** Looks up, once, everything that a request would have to look up. */
export function compileSnapshot(config: GatewayConfig, parts: SnapshotParts): CompiledSnapshot {
  const quotes = new Map<string, Quotes>()
  const cache: ChallengeCache = new Map()
  const table = tableOf(config.routes, (route, segments) => {
    const price = compilePrice(route, { parts, cache, quotes })
    return compileRoute(route, { price, segments, config, parts })
  })
  const payableRoutes = [...quotes.values()].filter(
    one => one.offersAt(parts.now).length > 0,
  ).length
  const { engine } = parts
  const cors = compileCors(config.cors)
  return {
    match: table.match,
    cors,
    engine,
    settleMsMax: settleMsMax(config),
    quotes,
    payableRoutes,
  }
}

/** What a request is matched against, with whatever is made of each route. */
export function tableOf<T>(
  routes: readonly RouteConfig[],
  compile: (route: RouteConfig, segments: readonly Segment[]) => T,
): RouteTable<T> {
  return createRouteTable(
    routes.map(route => {
      const parsed = parseRouteKey(route.key)
      if (parsed.kind === 'invalid') throw new Error(`Unchecked route key: ${parsed.reason}`)
      const { method, segments } = parsed
      return { key: route.key, method, segments, value: compile(route, segments) }
    }),
  )
}

interface RouteParts {
  readonly price: RoutePrice
  readonly segments: readonly Segment[]
  readonly config: GatewayConfig
  readonly parts: SnapshotParts
}

function compileRoute(config: RouteConfig, routeParts: RouteParts): Route {
  const { price, segments } = routeParts
  const { billable } = config
  return {
    key: config.key,
    upstream: findUpstream(config, routeParts),
    rewrite: compileRewrite(config.rewrite, segments),
    headers: compileHeaderShaping(config.headers),
    hostFor: compileHost(config, routeParts.config),
    price,
    shadow: config.mode === 'shadow' ? offersOf(config) : null,
    settle: config.settle,
    isBillable: (status, headers) => isIn(billable, status) && !saysGrpcFailure(headers),
    timeoutMs: config.timeoutMs,
    cors: compileCors(config.cors),
    access: routeParts.parts.access.get(config.key) ?? null,
    freeQuota: config.access.freeQuota,
    replay: config.replay,
    websocket: config.websocket,
    identifierRequired: config.identifierRequired,
    rateLimits: compileRateLimits(config.rateLimits),
  }
}

/** A 101 always is: it opens what was asked for. */
function isIn(billable: RouteConfig['billable'], status: number): boolean {
  return status === 101 || billable.some(({ from, to }) => from <= status && status <= to)
}

function findUpstream(
  { answer, upstream }: RouteConfig,
  { segments, parts }: RouteParts,
): Upstream {
  if (answer !== null) return createAnswer(answer, segments)
  const found = parts.upstreams.get(upstream ?? '')
  if (found === undefined) throw new Error(`Unchecked upstream: ${upstream}`)
  return found
}

/** Null: the target goes on as it was matched. */
export function compileRewrite(
  rewrite: RouteConfig['rewrite'],
  segments: readonly Segment[],
): PathTemplate | null {
  if (rewrite === null) return null
  if (rewrite.kind === 'strip-prefix') return withoutSegments(rewrite.prefix.split('/').length - 1)
  const parsed = parsePathTemplate(rewrite.template, segments)
  if (parsed.kind === 'invalid') throw new Error(`Unchecked rewrite: ${parsed.reason}`)
  return parsed.template
}

function compileHost(route: RouteConfig, { upstreams }: GatewayConfig): Route['hostFor'] {
  const host = upstreams.find(({ name }) => name === route.upstream)?.host
  if (host === undefined || host.kind === 'upstream') return null
  return host.kind === 'client' ? asked => asked : () => host.host
}

function compilePrice(
  config: RouteConfig,
  shared: { parts: SnapshotParts; cache: ChallengeCache; quotes: Map<string, Quotes> },
): RoutePrice {
  if (config.price.kind === 'free') return { kind: 'free' }
  const { engine, previous, now } = shared.parts
  const offers = offersOf(config).flatMap(offer => {
    const requirements = engine.bind(offer.requirements)
    return requirements === null ? [] : [{ ...offer, requirements }]
  })
  const quotes = createQuotes(offers, previous?.quotes.get(config.key) ?? null, now)
  // What is never asked for is never quoted.
  if (config.mode === 'enforce') shared.quotes.set(config.key, quotes)
  const { offersAt } = quotes
  if (offers.length === 0) return { kind: 'paid', offersAt, challenge: null }
  const { key, identifierRequired } = config
  const gasSponsoring = sponsoredFor(offers, engine)
  const challenged = { key, identifierRequired, gasSponsoring, cache: shared.cache }
  const challenge = createChallenge(challenged, offers, resourceOf(config))
  return { kind: 'paid', offersAt, challenge }
}

/** The offers of a route as its 402 writes them; none for a free one. */
export function offersOf({ price, settle }: RouteConfig): readonly Offer[] {
  if (price.kind === 'free') return []
  return settle === 'before-upstream' ? price.offers.map(settledUpFront) : price.offers
}

/** What the 402 of a route says of what it sells. */
export function resourceOf({ description, mimeType }: RouteConfig): Omit<ResourceInfo, 'url'> {
  return {
    ...(description === null ? {} : { description }),
    ...(mimeType === null ? {} : { mimeType }),
  }
}

/**
 * A challenge cannot say which of its offers an extension is for: it must hold for all that could
 * use it.
 */
function sponsoredFor(
  offers: readonly Offer[],
  engine: Pick<PaymentEngine, 'extensionsFor'>,
): readonly string[] {
  const [first, ...others] = offers
    .filter(({ transferMethod }) => transferMethod === 'permit2')
    .map(({ requirements }) => gasSponsoringIn(engine.extensionsFor(requirements)))
  return (first ?? []).filter(name => others.every(names => names.includes(name)))
}

/** Tells the client that it pays before the work is done (@x402/core 2.27.0, payment flows). */
function settledUpFront(offer: Offer): Offer {
  const { requirements } = offer
  const extra = { ...requirements.extra, paymentFlow: 'upfront' }
  return { ...offer, requirements: { ...requirements, extra } }
}

function compileCors(cors: CorsConfig | null): RouteCors | null {
  if (cors === null) return null
  const { credentials, exposeHeaders, maxAgeMs } = cors
  const origins = new Set(cors.origins)
  return {
    anyOrigin: origins.has('*'),
    allows: origin => origins.has('*') || origins.has(origin),
    credentials,
    exposeHeaders,
    maxAgeSeconds: Math.floor(maxAgeMs / 1000),
  }
}
