import { type Finding, formatPath, type Path, type Problem } from './problems.ts'
import { locate, type Position, type Tree } from './tree.ts'

/** A finding about something in the document. */
export interface PathFinding extends Finding {
  /** Into the document as it was written. */
  readonly path: Path
  /** True where something should be written at the path and is not. */
  readonly missing: boolean
  /** True where the key is at fault, not what stands behind it. */
  readonly aboutKey: boolean
}

/** A finding and its place in the text. */
export interface PlacedFinding extends Finding {
  readonly path: Path
  readonly at: Position
}

/** Finds the place of a finding; of what is not written, the place of what should hold it. */
export function placeFinding(finding: PathFinding, document: Tree): PlacedFinding {
  const { message, cure, missing, aboutKey } = finding
  const place = locate(document, finding.path)
  const atValue = !missing && !aboutKey && place.node.kind === 'text'
  const at = atValue ? place.node.at : place.keyAt
  return { message, cure, path: missing ? finding.path : place.path, at }
}

/** More would not be read by anybody, and one slip can cause thousands. */
export const PROBLEMS_MAX = 100

/** In the order of the file, each once: an alias repeats what is wrong in what it stands for. */
export function toProblems(findings: readonly PlacedFinding[], file: string): Problem[] {
  const problems = new Map<string, Problem>()
  for (const { message, cure, path, at } of findings) {
    const { line, column } = at
    const identity = `${line}:${column}:${message}`
    const problem = { file, line, column, item: formatPath(path), message, cure }
    if (!problems.has(identity)) problems.set(identity, problem)
  }
  const inOrder = [...problems.values()].sort((a, b) => a.line - b.line || a.column - b.column)
  return inOrder.slice(0, PROBLEMS_MAX)
}
