import type { Segment } from '../../src/routing/pattern.ts'

/** A route as the reference matcher sees it. */
export interface ReferenceRoute {
  readonly key: string
  readonly method: string | null
  readonly segments: readonly Segment[]
}

/** The definition of matching, route by route and without any index. */
export function matchNaively(
  routes: readonly ReferenceRoute[],
  method: string,
  path: string,
): string | null {
  const parts = path.slice(1).split('/')
  const matching = routes
    .filter(route => takesMethod(route, method) && takesPath(route, parts))
    .sort((a, b) => compareText(rankPath(a), rankPath(b)) || rank(a, method) - rank(b, method))
  return matching[0]?.key ?? null
}

export function takesMethod(route: ReferenceRoute, method: string): boolean {
  if (route.method === null || route.method === method) return true
  return method === 'HEAD' && route.method === 'GET'
}

export function takesPath(route: ReferenceRoute, parts: readonly string[]): boolean {
  const { segments } = route
  const hasRest = segments.at(-1)?.kind === 'rest'
  if (hasRest ? parts.length < segments.length : parts.length !== segments.length) return false
  return segments.every((segment, at) => {
    if (segment.kind === 'rest') return true
    return segment.kind === 'literal' ? segment.text === parts[at] : parts[at] !== ''
  })
}

/** "0" literal, "1" parameter, "2" rest: the smaller text is the more specific path. */
function rankPath(route: ReferenceRoute): string {
  const ranks = { literal: '0', parameter: '1', rest: '2' }
  return route.segments.map(segment => ranks[segment.kind]).join('')
}

function rank(route: ReferenceRoute, method: string): number {
  if (route.method === method) return 0
  return route.method === null ? 2 : 1
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
