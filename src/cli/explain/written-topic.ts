import type { Path } from '../../config/problems.ts'
import { gatewaySchema } from '../../config/schema.ts'
import { knownKeys } from '../../config/schema-walk.ts'
import { locate, type Tree } from '../../config/tree.ts'
import {
  isWritten,
  type Line,
  ownPath,
  type Subject,
  type Topic,
  writtenOrSecret,
} from './topic.ts'

/** Keys that other topics explain, with their meaning. */
const EXPLAINED = {
  route: new Set(
    (
      'price upstream accepts settle billable timeout cors rewrite headers respond redirect mode ' +
      'replay paymentIdentifier allow deny freeQuota rateLimit websocket'
    ).split(' '),
  ),
  upstream: new Set('url headers host connectTimeout maxConnections health tls'.split(' ')),
}

/**
 * Whatever else is written of the route, its upstream, or the defaults of routes: as it stands in
 * the file, so that nothing that is said of a route is left out here.
 */
export const writtenTopic: Topic = {
  title: 'ALSO WRITTEN',
  lines(subject) {
    const { document, upstream } = subject
    const own = unexplained(document, ownPath(subject), EXPLAINED.route)
    const routeKeys = knownKeys(gatewaySchema, ['routes', subject.route.key])
    const defaults = routeKeys
      .filter(key => !EXPLAINED.route.has(key) && !isWritten(document, ownPath(subject, key)))
      .map(key => [key])
    const ofUpstream =
      upstream === null
        ? []
        : unexplained(document, ['upstreams', upstream.name], EXPLAINED.upstream)
    return [...own, ...defaults, ...ofUpstream].flatMap(path => scalarsAt(subject, path))
  },
}

function unexplained(document: Tree, path: Path, explained: ReadonlySet<string>): Path[] {
  const { exact, node } = locate(document, path)
  if (!exact || node.kind !== 'map') return []
  return [...node.entries.keys()].filter(key => !explained.has(key)).map(key => [...path, key])
}

/** Every scalar at a path or below it. */
function scalarsAt(subject: Subject, path: Path): Line[] {
  const { document } = subject
  const { exact, node } = locate(document, path)
  if (!exact) return []
  if (node.kind === 'list') {
    return node.items.flatMap((_, index) => scalarsAt(subject, [...path, index]))
  }
  if (node.kind === 'map') {
    return [...node.entries.keys()].flatMap(key => scalarsAt(subject, [...path, key]))
  }
  const names = path.slice(path[0] === 'routes' || path[0] === 'upstreams' ? 2 : 0)
  const value = writtenOrSecret(node.value, path, document)
  return [{ label: names.join('.'), value, at: [path] }]
}
