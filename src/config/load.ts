import { dirname, resolve } from 'node:path'
import { loadNetworkRegistry } from '../networks/registry.ts'
import { checkSettings } from './check.ts'
import type { KnownThings } from './check-context.ts'
import { readDocument } from './document.ts'
import { loadFacilitatorPresets } from './facilitator-presets.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { type PlacedFinding, placeFinding, toProblems } from './place-findings.ts'
import type { Problem } from './problems.ts'
import { readShape } from './shape.ts'
import { readTextFile } from './text-file.ts'
import type { Tree } from './tree.ts'
import { resolveVariables, secretFilesIn } from './variables.ts'

export type LoadResult =
  | {
      readonly kind: 'loaded'
      readonly config: GatewayConfig
      /** Absolute paths of everything that was read: the file itself, then its secret files. */
      readonly files: readonly string[]
      /** What the operator should know and need not change, in the order of the file. */
      readonly notes: readonly Problem[]
      /** The file with the place of everything in it. Its values are resolved: secrets included. */
      readonly document: Tree
    }
  /** Never empty, in the order of the file. */
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }

export const CONFIG_BYTES_MAX = 1024 * 1024

/**
 * Reads and checks the configuration. Everything that is wrong with it comes back at once, each
 * with its place and its cure; nothing is loaded by halves.
 *
 * @param file Its path. Relative paths in it start from its directory.
 * @throws DataFileError when the installation itself is damaged.
 */
export async function loadConfig(
  file: string,
  options: { readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Promise<LoadResult> {
  const { env = process.env } = options
  const read = readTextFile(file, CONFIG_BYTES_MAX)
  if (read.kind === 'unreadable') {
    const cure = 'Check the path: farebox needs one readable YAML file.'
    const message = `the file ${read.why}`
    return { kind: 'invalid', problems: [{ file, line: 1, column: 1, item: '', message, cure }] }
  }
  const directory = dirname(resolve(file))
  const networks = loadNetworkRegistry()
  const presets = loadFacilitatorPresets()
  return readConfig(read.text, { file, env, networks, presets, directory })
}

export interface ReadConfigOptions extends KnownThings {
  /** How problems name the file. */
  readonly file: string
}

/** What `loadConfig` does once it has the text. */
export function readConfig(text: string, options: ReadConfigOptions): LoadResult {
  const { file, env, directory } = options
  const sources = { env, directory }
  const { tree, findings } = readDocument(text, written => resolveVariables(written, sources))
  if (tree === null) return invalid(file, findings)

  const broken = findings.map(finding => finding.path)
  const shape = readShape(tree, broken)
  const shapeFindings = [...findings, ...shape.findings.map(finding => placeFinding(finding, tree))]
  if (shape.settings === null) return invalid(file, shapeFindings)

  const trees = { document: tree, pruned: shape.tree }
  const checked = checkSettings(shape.settings, trees, options)
  const meant = checked.findings.map(finding => placeFinding(finding, tree))
  const placed = [...shapeFindings, ...meant]
  if (placed.length > 0) return invalid(file, placed)
  const files = [resolve(file), ...secretFilesIn(text, directory)]
  const notes = toProblems(
    checked.notes.map(note => placeFinding(note, tree)),
    file,
  )
  return { kind: 'loaded', config: checked.config, files, notes, document: tree }
}

function invalid(file: string, findings: readonly PlacedFinding[]): LoadResult {
  return { kind: 'invalid', problems: toProblems(findings, file) }
}
