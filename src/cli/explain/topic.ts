import type { GatewayConfig, RouteConfig, UpstreamConfig } from '../../config/gateway-config.ts'
import { formatPath, type Path } from '../../config/problems.ts'
import { locate, type Tree } from '../../config/tree.ts'

/** One route, and everything that was read with it. */
export interface Subject {
  readonly route: RouteConfig
  readonly config: GatewayConfig
  /** Null where the route answers by itself. */
  readonly upstream: UpstreamConfig | null
  /** What was asked, canonical: path and query. */
  readonly target: string
  /** The file with the place of everything in it. Its values are resolved: secrets included. */
  readonly document: Tree
}

/** One thing to know of a route. Adding one to a topic is all it takes to have it explained. */
export interface Line {
  readonly label: string
  /** Never a secret. Null: nothing to say. */
  readonly value: string | null
  /** Where it may be written, the place that counts first. None of them is: it is a default. */
  readonly at: readonly Path[]
}

export interface Topic {
  readonly title: string
  lines(subject: Subject): readonly Line[]
}

/** Where a value comes from; null: nobody wrote it, it is a default. */
export interface Origin {
  readonly line: number
  readonly column: number
  /** Like `cors.origins`. */
  readonly item: string
  /** Whether it is written at the route itself. */
  readonly isOwn: boolean
}

export function ownPath({ route }: Pick<Subject, 'route'>, ...path: Path): Path {
  return ['routes', route.key, ...path]
}

/** Of a key that a route can have, and that stands at the top for those that do not. */
export function ownOrDefault(subject: Subject, ...path: Path): readonly Path[] {
  const [key = ''] = path
  // A map of the route's takes the place of the whole default.
  const isOwn = isWritten(subject.document, ownPath(subject, key))
  return isOwn ? [ownPath(subject, ...path)] : [path]
}

export function isWritten(document: Tree, path: Path): boolean {
  return locate(document, path).exact
}

/** @param about What it points at: the value unless told. */
export function originOf(
  paths: readonly Path[],
  { document, route }: Subject,
  about?: 'key',
): Origin | null {
  const path = paths.find(one => isWritten(document, one))
  if (path === undefined) return null
  const { node, keyAt } = locate(document, path)
  const { line, column } = node.kind === 'text' && about === undefined ? node.at : keyAt
  const isOwn = path[0] === 'routes' && path[1] === route.key
  return { line, column, item: formatPath(path), isOwn }
}

const SECRET = '(secret)'

/** What is written there, unless a variable is in it: that may be a secret. */
export function writtenOrSecret(value: string, path: Path, document: Tree): string {
  const { exact, node } = locate(document, path)
  return exact && node.kind === 'text' && node.written.includes('${') ? SECRET : value
}
