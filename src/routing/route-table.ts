import type { Segment } from './pattern.ts'
import { comparablePath } from './percent-encoding.ts'

export interface RouteEntry<T> {
  readonly key: string
  /** Null: every method. */
  readonly method: string | null
  readonly segments: readonly Segment[]
  readonly value: T
}

export type RouteTableMatch<T> =
  | { readonly kind: 'route'; readonly value: T }
  /** `allow` is what the `Allow` header says, sorted (RFC 9110 section 10.2.1). */
  | { readonly kind: 'method-not-allowed'; readonly allow: readonly string[] }
  | { readonly kind: 'no-such-route' }

export interface RouteTable<T> {
  /**
   * The most specific route for a request, whatever order the routes were listed in. Step by step
   * from the left a literal beats a parameter, and a parameter beats the rest; of equal paths a
   * named method beats every method, and HEAD beats GET for a HEAD request.
   *
   * @param path Canonical, as `readRequestTarget` returns it.
   */
  match(method: string, path: string): RouteTableMatch<T>
}

type Found<T> = Extract<RouteTableMatch<T>, { kind: 'route' }>

/** The routes that end at one node, by method; null: every method. */
type Methods<T> = Map<string | null, Found<T>>

interface Node<T> {
  /** Null where no literal may follow, which spares most nodes a map. */
  literals: Map<string, Node<T>> | null
  /** The literal that follows, where it is the only one: comparing is cheaper than looking up. */
  soleText: string | null
  soleNode: Node<T> | null
  parameter: Node<T> | null
  /** Routes that end here. */
  ends: Methods<T> | null
  /** Routes that take whatever segments follow. */
  rest: Methods<T> | null
}

interface Wanted {
  readonly method: string
  readonly path: string
}

interface Search {
  readonly path: string
  /** Every method that some route for the path takes. */
  readonly allow: Set<string>
}

const NO_SUCH_ROUTE = { kind: 'no-such-route' } as const
/** What `Allow` names for a route with every method; the table lets others through too. */
const EVERY_METHOD = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']

/**
 * Builds a trie of segments: matching costs the same for ten routes as for ten thousand.
 *
 * @throws RangeError when two routes have the same shape and method; `findRouteConflicts` tells
 *         people of these, and of all other conflicts, beforehand.
 */
export function createRouteTable<T>(entries: readonly RouteEntry<T>[]): RouteTable<T> {
  const root = createNode<T>()
  for (const entry of entries) insert(root, entry)
  return {
    match(method, path) {
      // TRACE echoes the request, and with it the secret headers that a gateway adds.
      const wanted = { method, path: comparablePath(path) }
      const found = method === 'TRACE' ? null : find(root, wanted, 1)
      if (found !== null) return found
      const allow = new Set<string>()
      collectMethods(root, { path: wanted.path, allow }, 1)
      if (allow.size === 0) return NO_SUCH_ROUTE
      return { kind: 'method-not-allowed', allow: [...allow].sort() }
    },
  }
}

function insert<T>(root: Node<T>, entry: RouteEntry<T>): void {
  const { node, isRest } = descend(root, entry.segments)
  const methods: Methods<T> = (isRest ? node.rest : node.ends) ?? new Map()
  if (methods.has(entry.method)) {
    throw new RangeError(`Route "${entry.key}" has the same shape and method as another one.`)
  }
  methods.set(entry.method, { kind: 'route', value: entry.value })
  if (isRest) node.rest = methods
  else node.ends = methods
}

/** Makes the nodes that a route needs, and returns where it ends. */
function descend<T>(
  root: Node<T>,
  segments: readonly Segment[],
): { readonly node: Node<T>; readonly isRest: boolean } {
  let node = root
  for (const segment of segments) {
    if (segment.kind === 'rest') return { node, isRest: true }
    if (segment.kind === 'literal') node = addLiteral(node, segment.text)
    else node = node.parameter ??= createNode<T>()
  }
  return { node, isRest: false }
}

function addLiteral<T>(node: Node<T>, text: string): Node<T> {
  node.literals ??= new Map()
  const known = node.literals.get(text)
  if (known !== undefined) return known
  const next = createNode<T>()
  node.literals.set(text, next)
  node.soleText = node.literals.size === 1 ? text : null
  node.soleNode = node.literals.size === 1 ? next : null
  return next
}

/**
 * Most specific first. Every node is tried at most once, so that no path can cost more than the
 * nodes that match it.
 *
 * @param start Where the segment to match begins; beyond the path's end when none is left.
 */
function find<T>(node: Node<T>, wanted: Wanted, start: number): Found<T> | null {
  const { path, method } = wanted
  if (start > path.length) return node.ends === null ? null : pick(node.ends, method)
  const end = segmentEnd(path, start)
  const literal = literalAt(node, path, start)
  if (literal !== null) {
    const found = find(literal, wanted, end + 1)
    if (found !== null) return found
  }
  if (node.parameter !== null && end > start) {
    const found = find(node.parameter, wanted, end + 1)
    if (found !== null) return found
  }
  return node.rest === null ? null : pick(node.rest, method)
}

function literalAt<T>(node: Node<T>, path: string, start: number): Node<T> | null {
  if (node.literals === null) return null
  const end = segmentEnd(path, start)
  if (node.soleText === null) return node.literals.get(path.slice(start, end)) ?? null
  if (node.soleText.length !== end - start) return null
  return path.startsWith(node.soleText, start) ? node.soleNode : null
}

function segmentEnd(path: string, start: number): number {
  const slash = path.indexOf('/', start)
  return slash === -1 ? path.length : slash
}

function pick<T>(methods: Methods<T>, method: string): Found<T> | null {
  const own = methods.get(method)
  if (own !== undefined) return own
  // RFC 9110 section 9.3.2: HEAD is GET without the content.
  const get = method === 'HEAD' ? methods.get('GET') : undefined
  return get ?? methods.get(null) ?? null
}

function collectMethods<T>(node: Node<T>, search: Search, start: number): void {
  const { path, allow } = search
  if (start > path.length) {
    addMethods(node.ends, allow)
    return
  }
  const end = segmentEnd(path, start)
  const literal = literalAt(node, path, start)
  if (literal !== null) collectMethods(literal, search, end + 1)
  if (node.parameter !== null && end > start) collectMethods(node.parameter, search, end + 1)
  addMethods(node.rest, allow)
}

function addMethods<T>(methods: Methods<T> | null, allow: Set<string>): void {
  if (methods === null) return
  for (const method of methods.keys()) {
    for (const name of method === null ? EVERY_METHOD : [method]) allow.add(name)
    if (method === 'GET') allow.add('HEAD')
  }
}

function createNode<T>(): Node<T> {
  return {
    literals: null,
    soleText: null,
    soleNode: null,
    parameter: null,
    ends: null,
    rest: null,
  }
}
