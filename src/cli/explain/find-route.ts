import type { GatewayConfig, RouteConfig } from '../../config/gateway-config.ts'
import { nearestName } from '../../config/suggest.ts'
import { tableOf } from '../../flow/compile-snapshot.ts'
import { readRequestTarget } from '../../routing/request-target.ts'
import { EXIT_FAILED } from '../exit-code.ts'
import { type Failed, failed, usageFailure } from '../failure.ts'

/** A request line as people write it. */
export interface AskedRequest {
  readonly kind: 'request'
  readonly method: string
  /** Canonical. */
  readonly path: string
  /** Path and query. */
  readonly target: string
}

const EXAMPLE = 'Write a request, like "GET /v1/weather/paris"; without a method it is GET.'

/** Reads "GET /v1/x", "/v1/x" or "GET https://api.example.com/v1/x". */
export function readAsked(words: readonly string[]): AskedRequest | Failed {
  const [, method = 'GET', raw = ''] = /^(?:(\S+)\s+)?(\S+)$/.exec(words.join(' ').trim()) ?? []
  if (raw === '' || !/^(?:\/|https?:\/\/)/i.test(raw)) {
    return usageFailure('bad_request_target', 'there is no path to explain', EXAMPLE)
  }
  if (!/^[A-Z][A-Z-]*$/.test(method)) {
    return usageFailure('bad_request_target', 'that is not an HTTP method', EXAMPLE)
  }
  const target = readRequestTarget(raw, URL.parse(raw)?.host ?? null)
  if (target.kind === 'target') {
    return { kind: 'request', method, path: target.path, target: target.full }
  }
  const why = `every such request is refused with 400: ${target.reason.replaceAll('-', ' ')}`
  return usageFailure('bad_request_target', why, 'Write a plain path, as docs/edge.md says.')
}

/** The route that a request meets, or why it meets none and which comes nearest. */
export function findRoute(
  { method, path }: AskedRequest,
  { routes }: GatewayConfig,
): { readonly kind: 'route'; readonly route: RouteConfig } | Failed {
  const found = tableOf(routes, route => route).match(method, path)
  if (found.kind === 'route') return { kind: 'route', route: found.value }
  if (found.kind === 'method-not-allowed') {
    const allow = found.allow.join(', ')
    const message = `${path} is listed, but not with ${method}: the answer is 405`
    const fix = `Ask with ${allow}, or list it.`
    return failed({ code: 'method_not_allowed', message, fix, exitCode: EXIT_FAILED })
  }
  const nearest = nearestRoute(method, path, routes)
  const message = `no route matches ${method} ${path}: the answer is 404`
  const fix = nearest === null ? 'List it under routes.' : `Did you mean ${nearest}?`
  return failed({
    code: 'no_such_route',
    message,
    fix,
    exitCode: EXIT_FAILED,
    details: { nearest },
  })
}

/** By letters, else by how many segments they have in common from the left. */
function nearestRoute(method: string, path: string, routes: readonly RouteConfig[]): string | null {
  const keys = routes.map(({ key }) => key)
  const byName = nearestName(`${method} ${path}`, keys) ?? nearestName(path, keys)
  if (byName !== null) return byName
  const wanted = path.split('/')
  const shared = (route: RouteConfig): number => {
    const parts = route.path.split('/')
    const differs = wanted.findIndex(
      (part, at) => part !== parts[at] && !parts[at]?.startsWith('{'),
    )
    return differs === -1 ? wanted.length : differs
  }
  const [best] = [...routes].sort((a, b) => shared(b) - shared(a))
  return best !== undefined && shared(best) > 1 ? best.key : null
}
