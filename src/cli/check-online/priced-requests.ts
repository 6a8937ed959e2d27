import type { GatewayConfig, RouteConfig } from '../../config/gateway-config.ts'
import { parseRouteKey } from '../../routing/pattern.ts'
import { readRequestTarget } from '../../routing/request-target.ts'
import { createRouteTable } from '../../routing/route-table.ts'

/** A request that costs something, as anybody can make it. */
export interface PricedRequest {
  readonly route: RouteConfig
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** The path as the gateway names it in `resource.url`, which leaves out the query. */
  readonly path: string
}

/** Every priced route that can be asked for as it is written: those without parameters. */
export function plainRequests({ routes }: GatewayConfig): PricedRequest[] {
  return routes.flatMap(route => {
    const parsed = parseRouteKey(route.key)
    if (!isAskedFor(route) || parsed.kind === 'invalid') return []
    if (parsed.segments.some(({ kind }) => kind !== 'literal')) return []
    const { path } = parsed
    return [{ route, method: route.method ?? 'GET', target: path, path }]
  })
}

/** In shadow mode nobody is asked to pay. */
function isAskedFor({ price, mode }: RouteConfig): boolean {
  return price.kind === 'paid' && mode === 'enforce'
}

/** The priced route that a path leads to, whatever its method; null when there is none. */
export function requestFor({ routes }: GatewayConfig, text: string): PricedRequest | null {
  const read = readRequestTarget(text, null)
  if (read.kind === 'ambiguous') return null
  const { path, full: target } = read
  const table = createRouteTable(
    routes.flatMap(route => {
      const parsed = parseRouteKey(route.key)
      if (parsed.kind === 'invalid') return []
      return [{ key: route.key, method: route.method, segments: parsed.segments, value: route }]
    }),
  )
  const named = routes.flatMap(({ method }) => (method === null ? [] : [method]))
  for (const method of new Set(['GET', ...named])) {
    const match = table.match(method, path)
    if (match.kind === 'route' && isAskedFor(match.value)) {
      return { route: match.value, method, target, path }
    }
  }
  return null
}
