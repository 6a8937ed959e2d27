import { type ParsedRouteKey, parseRouteKey } from './pattern.ts'

export interface RouteConflict {
  /** Keys as they were given, in that order. */
  readonly first: string
  readonly second: string
  /** What both match and what to do about it; safe to show. */
  readonly reason: string
}

/** More than anybody repairs at once; keeps a hopeless file from taking quadratic time. */
export const CONFLICTS_MAX = 100

interface Route {
  readonly key: string
  readonly index: number
  readonly method: string | null
  readonly steps: readonly Step[]
}

/** A trailing slash is a kind of its own: it is a literal that no parameter can match. */
interface Step {
  readonly kind: 'literal' | 'parameter' | 'slash' | 'rest'
  readonly text: string
}

interface ShapeGroup {
  readonly steps: readonly Step[]
  readonly routes: Route[]
}

/**
 * Finds routes of which neither is more specific although one request could match both: the table
 * would have to guess which of two prices holds. Keys that are not valid are left out, and at most
 * `CONFLICTS_MAX` conflicts are named.
 *
 * Routes are grouped by shape (where they have literals, parameters and rests). Whether two shapes
 * can conflict is decided once per pair of shapes, and only those that can are joined on the
 * literals that they share, so that ten thousand routes take milliseconds.
 */
export function findRouteConflicts(keys: readonly string[]): RouteConflict[] {
  const groups = groupByShape(readRoutes(keys))
  const found: [Route, Route][] = []
  for (const [index, group] of groups.entries()) {
    addSameShape(group, found)
    for (let next = index + 1; next < groups.length; next++) {
      const other = groups[next]
      if (other === undefined) break
      const shared = sharedLiterals(group.steps, other.steps)
      if (shared !== null) addJoined(group, other, { shared, found })
      if (found.length >= CONFLICTS_MAX) return found.map(describe)
    }
  }
  return found.map(describe)
}

function readRoutes(keys: readonly string[]): Route[] {
  const routes: Route[] = []
  for (const [index, key] of keys.entries()) {
    const parsed = parseRouteKey(key)
    if (parsed.kind === 'invalid') continue
    routes.push({ key, index, method: parsed.method, steps: parsed.segments.map(stepOf) })
  }
  return routes
}

function stepOf(segment: Extract<ParsedRouteKey, { kind: 'route' }>['segments'][number]): Step {
  if (segment.kind === 'rest') return { kind: 'rest', text: '*' }
  if (segment.kind === 'parameter') return { kind: 'parameter', text: `{${segment.name}}` }
  return { kind: segment.text === '' ? 'slash' : 'literal', text: segment.text }
}

function groupByShape(routes: readonly Route[]): ShapeGroup[] {
  const groups = new Map<string, ShapeGroup>()
  for (const route of routes) {
    const shape = route.steps.map(step => step.kind).join('/')
    const group = groups.get(shape)
    if (group === undefined) groups.set(shape, { steps: route.steps, routes: [route] })
    else group.routes.push(route)
  }
  return [...groups.values()]
}

/** Same shape, same literals, same method: one of the two would never be reached. */
function addSameShape(group: ShapeGroup, found: [Route, Route][]): void {
  const literals = group.steps.flatMap((step, at) => (step.kind === 'literal' ? [at] : []))
  const seen = new Map<string, Route>()
  for (const route of group.routes) {
    const key = joinKey(route, literals, route.method ?? '')
    const earlier = seen.get(key)
    if (earlier === undefined) seen.set(key, route)
    else if (found.length < CONFLICTS_MAX) found.push([earlier, route])
  }
}

/**
 * Where both shapes have a literal, when routes of the two can match the same path and each is the
 * narrower one somewhere. Null: they cannot, or one is narrower throughout and so simply wins.
 */
function sharedLiterals(a: readonly Step[], b: readonly Step[]): readonly number[] | null {
  const shared: number[] = []
  let narrowerA = false
  let narrowerB = false
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const left = a[at]?.kind
    const right = b[at]?.kind
    if (left === undefined || right === undefined) return null
    if (left === right) {
      if (left === 'literal') shared.push(at)
      continue
    }
    const order = compareSteps(left, right)
    if (order === 'disjoint') return null
    if (order === 'narrower') narrowerA = true
    else narrowerB = true
    if (left === 'rest' || right === 'rest') break
  }
  return narrowerA && narrowerB ? shared : null
}

/** How a step relates to a different one at the same place. */
function compareSteps(left: Step['kind'], right: Step['kind']): 'narrower' | 'wider' | 'disjoint' {
  if (right === 'rest') return 'narrower'
  if (left === 'rest') return 'wider'
  if (left === 'slash' || right === 'slash') return 'disjoint'
  return left === 'literal' ? 'narrower' : 'wider'
}

/** Every pair of routes with equal shared literals and a method in common is a conflict. */
function addJoined(
  group: ShapeGroup,
  other: ShapeGroup,
  join: { readonly shared: readonly number[]; readonly found: [Route, Route][] },
): void {
  const { shared, found } = join
  const index = new Map<string, Route[]>()
  for (const route of group.routes) {
    for (const method of ['any', route.method ?? 'every']) {
      const key = joinKey(route, shared, method)
      const routes = index.get(key)
      if (routes === undefined) index.set(key, [route])
      else routes.push(route)
    }
  }
  for (const route of other.routes) {
    for (const method of methodsInCommon(route.method)) {
      for (const partner of index.get(joinKey(route, shared, method)) ?? []) {
        if (found.length >= CONFLICTS_MAX) return
        found.push(partner.index < route.index ? [partner, route] : [route, partner])
      }
    }
  }
}

/**
 * Index entries of the routes that one of these methods reaches too. HEAD also reaches GET routes.
 */
function methodsInCommon(method: string | null): readonly string[] {
  if (method === null) return ['any']
  if (method === 'GET') return ['GET', 'HEAD', 'every']
  if (method === 'HEAD') return ['HEAD', 'GET', 'every']
  return [method, 'every']
}

/** "/" and line breaks stand in no segment, so that no two lists of texts give the same key. */
function joinKey(route: Route, places: readonly number[], method: string): string {
  let key = method
  for (const at of places) key += `/${route.steps[at]?.text}`
  return key
}

function describe([first, second]: [Route, Route]): RouteConflict {
  const method = first.method ?? second.method
  const example = `${method === null ? '' : `${method} `}${examplePath(first.steps, second.steps)}`
  const reason =
    sharedLiterals(first.steps, second.steps) === null
      ? `Both match exactly ${example}. Remove one, or give them different methods.`
      : `Both match ${example}, and neither is more specific. Reword one so that every path it ` +
        'matches is also matched by the other, or give them different methods.'
  return { first: first.key, second: second.key, reason }
}

/** A path that both match, with parameters where any text will do. */
function examplePath(a: readonly Step[], b: readonly Step[]): string {
  const texts: string[] = []
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const left = a[at] ?? a.at(-1)
    const right = b[at] ?? b.at(-1)
    if (left === undefined || right === undefined) break
    const narrow = left.kind === 'rest' || right.kind === 'literal' ? right : left
    texts.push(narrow.text)
  }
  return `/${texts.join('/')}`
}
