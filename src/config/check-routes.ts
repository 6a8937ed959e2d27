import { parseRouteKey, type Segment } from '../routing/pattern.ts'
import { findRouteConflicts } from '../routing/route-conflicts.ts'
import { type AcceptedAsset, checkAccepts, type Receivers } from './check-accepts.ts'
import { checkAccess } from './check-access.ts'
import type { CheckContext } from './check-context.ts'
import { checkRateLimits, reportPayerOnFree } from './check-limits.ts'
import { checkPrice } from './check-prices.ts'
import { checkShaping, type ShapingDefaults } from './check-shaping.ts'
import { checkWebSocket } from './check-websocket.ts'
import type { PriceConfig, RouteConfig } from './gateway-config.ts'
import type { RateLimitConfig } from './limits-config.ts'
import { type Path, quote, sentence } from './problems.ts'
import type { Settings } from './schema.ts'
import type { RouteSetting } from './schema-routes.ts'
import { suggestName } from './suggest.ts'

/** What routes take from the rest of the file where they say nothing themselves. */
export interface RouteDefaults {
  /** Null: the file has no `accepts`. */
  readonly accepted: readonly AcceptedAsset[] | null
  readonly payTo: Receivers
  readonly shaping: ShapingDefaults
  readonly access: RouteConfig['access']
  readonly paymentIdentifier: Settings['paymentIdentifier']
  readonly rateLimits: readonly RateLimitConfig[]
}

export function checkRoutes(
  settings: Settings,
  defaults: RouteDefaults,
  context: CheckContext,
): RouteConfig[] {
  if (context.namesAt(['routes']).length === 0 && context.isWritten(['routes'])) {
    const cure = 'Add one, like GET /v1/weather: $0.001.'
    context.report(['routes'], { message: 'has no route: every request would be refused', cure })
  }
  const routes = Object.entries(settings.routes).flatMap(([key, setting]) => {
    const parsed = parseRouteKey(key)
    if (parsed.kind === 'route') {
      const { method, path, segments } = parsed
      return [{ key, method, path, ...checkRoute(setting, key, { defaults, segments, context }) }]
    }
    const message = 'is not a route that requests could match'
    context.report(['routes', key], { message, cure: sentence(parsed.reason) }, 'key')
    return []
  })
  reportConflicts(
    routes.map(route => route.key),
    context,
  )
  return routes
}

function reportConflicts(keys: readonly string[], context: CheckContext): void {
  for (const { first, second, reason } of findRouteConflicts(keys)) {
    const message = `overlaps with ${quote(first)}`
    context.report(['routes', second], { message, cure: sentence(reason) }, 'key')
  }
}

interface RouteScope {
  readonly defaults: RouteDefaults
  readonly segments: readonly Segment[]
  readonly context: CheckContext
}

function checkRoute(setting: RouteSetting, key: string, scope: RouteScope) {
  const { defaults, segments, context } = scope
  const path = ['routes', key]
  const { accepts, replay, paymentIdentifier = defaults.paymentIdentifier } = setting
  const accepted =
    accepts === undefined
      ? defaults.accepted
      : checkAccepts(accepts, [...path, 'accepts'], { payTo: defaults.payTo, context })
  const price = checkPrice(setting, path, { accepted, context })
  reportIfFree(price, path, context)
  const shaping = checkShaping(setting, segments, { fallback: defaults.shaping, path, context })
  const isAnswered = ['respond', 'redirect'].some(name => context.isWritten([...path, name]))
  return {
    ...shaping,
    mode: price.kind === 'free' ? 'enforce' : (setting.mode ?? defaults.shaping.mode),
    upstream: isAnswered ? null : findUpstream(setting.upstream, path, context),
    price,
    description: setting.description ?? null,
    mimeType: setting.mimeType ?? null,
    settle: setting.settle,
    billable: setting.billable,
    timeoutMs: setting.timeout,
    access: checkAccess(setting, defaults.access, { path, route: key, context }),
    replay: replay === undefined ? null : { forMs: replay.for, bytesMax: replay.maxBytes },
    websocket: checkWebSocket(setting.websocket, key, context),
    identifierRequired: paymentIdentifier === 'required',
    rateLimits: rateLimitsOf(setting, key, { price, defaults, context }),
  }
}

function rateLimitsOf(
  { rateLimit }: RouteSetting,
  key: string,
  { price, defaults, context }: Omit<RouteScope, 'segments'> & { readonly price: PriceConfig },
): readonly RateLimitConfig[] {
  if (rateLimit === undefined) return defaults.rateLimits
  const path = ['routes', key, 'rateLimit']
  const limits = checkRateLimits(rateLimit, path, { route: key, context })
  if (price.kind === 'free') reportPayerOnFree(limits, path, context)
  return limits
}

/** Where nobody pays there is no payment to tell a retry by. */
function reportIfFree(price: PriceConfig, path: Path, context: CheckContext): void {
  if (price.kind !== 'free') return
  for (const name of ['replay', 'paymentIdentifier', 'mode', 'freeQuota']) {
    if (!context.isWritten([...path, name])) continue
    const finding = {
      message: 'has no meaning on a free route',
      cure: 'Remove it, or set a price.',
    }
    context.report([...path, name], finding, 'key')
  }
}

function findUpstream(name: string | undefined, path: Path, context: CheckContext): string {
  const names = context.namesAt(['upstreams'])
  const upstreamPath = [...path, 'upstream']
  if (name !== undefined && names.includes(name)) return name
  if (name !== undefined) {
    const message = `${context.quote(upstreamPath)} is not one of the upstreams`
    context.report(upstreamPath, { message, cure: suggestName(name, names) })
  } else if (names.length > 1 && !context.isWritten(upstreamPath)) {
    const cure = `Add upstream: and one of ${names.join(', ')}.`
    context.report(upstreamPath, { message: 'does not say which upstream it goes to', cure })
  }
  return names[0] ?? ''
}
