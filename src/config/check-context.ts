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
}

/** What every check needs: what is known, what was written, and where to report. */
export interface CheckContext extends KnownThings {
  /** @param about What the finding points at: the value unless told. */
  report(path: Path, finding: Finding, about?: 'key'): void
  /** Whether the operator wrote something there, even if it was wrong and cut out. */
  isWritten(path: Path): boolean
  /** Names that the operator gave to the entries there, even to wrong ones. */
  namesAt(path: Path): string[]
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
): { context: CheckContext; findings: readonly PathFinding[] } {
  const findings: PathFinding[] = []
  const context: CheckContext = {
    ...known,
    report(path, { message, cure }, about = undefined) {
      const aboutKey = about === 'key'
      findings.push({ path: pathInFile(pruned, path), message, cure, aboutKey, missing: false })
    },
    isWritten: path => locate(document, path).exact,
    namesAt(path) {
      const { exact, node } = locate(document, path)
      return exact && node.kind === 'map' ? [...node.entries.keys()] : []
    },
    quote(path) {
      const { node } = locate(pruned, path)
      return node.kind === 'text' ? quote(node.written) : 'it'
    },
  }
  return { context, findings }
}
