import { dirname, resolve } from 'node:path'
import { loadNetworkRegistry } from '../networks/registry.ts'
import { type CheckedSettings, checkSettings } from './check.ts'
import type { KnownThings } from './check-context.ts'
import { checkFacilitatorService } from './check-facilitator-service.ts'
import { readDocument } from './document.ts'
import { loadFacilitatorPresets } from './facilitator-presets.ts'
import type { FacilitatorServiceConfig } from './facilitator-service-config.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { filesNamedIn } from './named-files.ts'
import { type PlacedFinding, placeFinding, toProblems } from './place-findings.ts'
import type { Problem } from './problems.ts'
import { gatewaySchema, type Settings } from './schema.ts'
import {
  type FacilitatorServiceSettings,
  facilitatorServiceSchema,
} from './schema-facilitator-service.ts'
import { type FileShape, readShape } from './shape.ts'
import { readTextFile } from './text-file.ts'
import type { Tree } from './tree.ts'
import { resolveVariables } from './variables.ts'

export type LoadResult<Config = GatewayConfig> =
  | {
      readonly kind: 'loaded'
      readonly config: Config
      /** Absolute paths of everything that was read: the file itself, then those that it names. */
      readonly files: readonly string[]
      /** What the operator should know and need not change, in the order of the file. */
      readonly notes: readonly Problem[]
      /** The file with the place of everything in it. Its values are resolved: secrets included. */
      readonly document: Tree
    }
  /** Never empty, in the order of the file. */
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }

/** A kind of configuration file, and what is made of one. */
interface FileFormat<Settings, Config> extends FileShape<Settings> {
  check(
    settings: Settings,
    trees: { readonly document: Tree; readonly pruned: Tree },
    known: KnownThings,
  ): CheckedSettings<Config>
}

const GATEWAY: FileFormat<Settings, GatewayConfig> = {
  schema: gatewaySchema,
  standIns: { version: '1', upstreams: {}, routes: {} },
  check: checkSettings,
}

const FACILITATOR_SERVICE: FileFormat<FacilitatorServiceSettings, FacilitatorServiceConfig> = {
  schema: facilitatorServiceSchema,
  standIns: { version: '1', keys: [] },
  check: checkFacilitatorService,
}

export const CONFIG_BYTES_MAX = 1024 * 1024

interface LoadOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Reads and checks the configuration. Everything that is wrong with it comes back at once, each
 * with its place and its cure; nothing is loaded by halves.
 *
 * @param file Its path. Relative paths in it start from its directory.
 * @throws DataFileError when the installation itself is damaged.
 */
export async function loadConfig(file: string, options: LoadOptions = {}): Promise<LoadResult> {
  return load(file, options, GATEWAY)
}

/** The same for the file of `farebox facilitator`. */
export async function loadFacilitatorServiceConfig(
  file: string,
  options: LoadOptions = {},
): Promise<LoadResult<FacilitatorServiceConfig>> {
  return load(file, options, FACILITATOR_SERVICE)
}

function load<Settings, Config>(
  file: string,
  { env = process.env }: LoadOptions,
  format: FileFormat<Settings, Config>,
): LoadResult<Config> {
  const read = readTextFile(file, CONFIG_BYTES_MAX)
  if (read.kind === 'unreadable') {
    const cure = 'Check the path: farebox needs one readable YAML file.'
    const message = `the file ${read.why}`
    return { kind: 'invalid', problems: [{ file, line: 1, column: 1, item: '', message, cure }] }
  }
  const directory = dirname(resolve(file))
  const networks = loadNetworkRegistry()
  const presets = loadFacilitatorPresets()
  return readText(read.text, { file, env, networks, presets, directory }, format)
}

export interface ReadConfigOptions extends KnownThings {
  /** How problems name the file. */
  readonly file: string
}

/** What `loadConfig` does once it has the text. */
export function readConfig(text: string, options: ReadConfigOptions): LoadResult {
  return readText(text, options, GATEWAY)
}

/** What `loadFacilitatorServiceConfig` does once it has the text. */
export function readFacilitatorServiceConfig(
  text: string,
  options: ReadConfigOptions,
): LoadResult<FacilitatorServiceConfig> {
  return readText(text, options, FACILITATOR_SERVICE)
}

function readText<Settings, Config>(
  text: string,
  options: ReadConfigOptions,
  format: FileFormat<Settings, Config>,
): LoadResult<Config> {
  const { file, env, directory } = options
  const sources = { env, directory }
  const { tree, findings } = readDocument(text, written => resolveVariables(written, sources))
  if (tree === null) return invalid(file, findings)

  const broken = findings.map(finding => finding.path)
  const shape = readShape(tree, broken, format)
  const shapeFindings = [...findings, ...shape.findings.map(finding => placeFinding(finding, tree))]
  if (shape.settings === null) return invalid(file, shapeFindings)

  const trees = { document: tree, pruned: shape.tree }
  const checked = format.check(shape.settings, trees, options)
  const meant = checked.findings.map(finding => placeFinding(finding, tree))
  const placed = [...shapeFindings, ...meant]
  if (placed.length > 0) return invalid(file, placed)
  const files = [resolve(file), ...filesNamedIn(text, sources)]
  const notes = toProblems(
    checked.notes.map(note => placeFinding(note, tree)),
    file,
  )
  return { kind: 'loaded', config: checked.config, files, notes, document: tree }
}

function invalid(file: string, findings: readonly PlacedFinding[]): LoadResult<never> {
  return { kind: 'invalid', problems: toProblems(findings, file) }
}
