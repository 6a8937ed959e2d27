import type { NetworkRegistry } from '../networks/registry.ts'
import type { FacilitatorPreset } from './facilitator-presets.ts'
import type { PathFinding } from './place-findings.ts'
import { type Finding, type Path, quote } from './problems.ts'
import { locate, pathInFile, type Tree } from './tree.ts'

/** What the checks look things up in. */
export interface KnownThings {
  readonly networks: NetworkRegistry
  readonly presets: ReadonlyMap<string, FacilitatorPreset>
  /** Directory of the configuration file: relative paths start there. */
  readonly directory: string
  /** Where presets find their keys. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What every check needs: what is known, what was written, and where to report. */
export interface CheckContext extends KnownThings {
  /** @param about What the finding points at: the value unless told. */
  report(path: Path, finding: Finding, about?: 'key'): void
  /** Something to know that stops nothing. */
  note(path: Path, finding: Finding): void
  /** Whether the operator wrote something there, even if it was wrong and cut out. */
  isWritten(path: Path): boolean
  /** Names that the operator gave to the entries there, even to wrong ones. */
  namesAt(path: Path): string[]
  /** How many entries the operator gave to the list there, wrong ones included. */
  countAt(path: Path): number
  /** What the operator wrote there, in quotes, with variables unresolved. */
  quote(path: Path): string
}

/**
 * @param document As it was written.
 * @param pruned   What the settings were made from; paths lead into it.
 */
export function createCheckContext(
  known: KnownThings,
  document: Tree,
  pruned: Tree,
): {
  readonly context: CheckContext
  readonly findings: readonly PathFinding[]
  readonly notes: readonly PathFinding[]
} {
  const findings: PathFinding[] = []
  const notes: PathFinding[] = []
  const place = (path: Path, { message, cure }: Finding, aboutKey: boolean): PathFinding => {
    return { path: pathInFile(pruned, path), message, cure, aboutKey, missing: false }
  }
  const context: CheckContext = {
    ...known,
    report: (path, finding, about = undefined) =>
      void findings.push(place(path, finding, about === 'key')),
    note: (path, finding) => void notes.push(place(path, finding, false)),
    isWritten: path => locate(document, path).exact,
    namesAt(path) {
      const { exact, node } = locate(document, path)
      return exact && node.kind === 'map' ? [...node.entries.keys()] : []
    },
    countAt(path) {
      const { exact, node } = locate(document, path)
      return exact && node.kind === 'list' ? node.items.length : 0
    },
    quote(path) {
      const { node } = locate(pruned, path)
      return node.kind === 'text' ? quote(node.written) : 'it'
    },
  }
  return { context, findings, notes }
}
