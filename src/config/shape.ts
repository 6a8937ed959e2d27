import type { z } from 'zod'
import type { PathFinding } from './place-findings.ts'
import type { Path } from './problems.ts'
import { explainIssue, type ShapeFinding } from './shape-findings.ts'
import { locate, pathInFile, prune, type Tree, toPlain } from './tree.ts'

/** A kind of configuration file. */
export interface FileShape<S> {
  readonly schema: z.ZodType<S>
  /** For what must stand at the top and does not: lets the rest be looked at. */
  readonly standIns: Readonly<Record<string, unknown>>
}

export interface ReadShape<S> {
  /** Null when so much is wrong that nothing is left to look at. */
  readonly settings: S | null
  /** The document without what is wrong: what `settings` was made from. */
  readonly tree: Tree
  readonly findings: readonly PathFinding[]
}

/** Each round removes something, and what encloses it in the next: as deep as a document can be. */
const ROUNDS_MAX = 20

/**
 * Holds a document against the schema. What does not fit is reported and cut out, so that the rest
 * can be looked at too: the operator hears of everything at once.
 *
 * @param broken Paths that are known to be wrong already, and were reported.
 */
export function readShape<S>(
  document: Tree,
  broken: readonly Path[],
  { schema, standIns: all }: FileShape<S>,
): ReadShape<S> {
  let findings: PathFinding[] = []
  let tree = prune(document, broken)
  let standIns = {}
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const plain = toPlain(tree)
    const isMap = tree.kind === 'map'
    const result = schema.safeParse(isMap ? Object.assign({}, standIns, plain) : plain)
    if (result.success) return { settings: result.data, tree, findings }
    const found = result.error.issues.flatMap(issue => explainIssue(issue, { tree, schema }))
    const placed = found.map(each => ({ ...each, path: pathInFile(tree, each.path) }))
    const earlier = findings
    const own = placed.filter(each => !isOfOurMaking(each, document, earlier))
    findings = findings.concat(own)
    if (!isMap) break
    standIns = all
    tree = prune(tree, found.map(pathToCut))
  }
  return { settings: null, tree, findings }
}

/**
 * What was cut out in an earlier round is missing, left a list empty, or left a map in none of its
 * forms, by our own doing.
 */
function isOfOurMaking(
  finding: ShapeFinding,
  document: Tree,
  earlier: readonly PathFinding[],
): boolean {
  const { exact, node } = locate(document, finding.path)
  if (!exact) return false
  if (finding.missing) return true
  if (finding.empty) return node.kind === 'list' && node.items.length > 0
  return node.kind === 'map' && earlier.some(({ path }) => isInside(path, finding.path))
}

function isInside(path: Path, outer: Path): boolean {
  return path.length > outer.length && outer.every((part, index) => path[index] === part)
}

/** A thing that lacks something it needs goes as a whole. */
function pathToCut(finding: PathFinding): Path {
  return finding.missing ? finding.path.slice(0, -1) : finding.path
}
