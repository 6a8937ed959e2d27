import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import type { PlacedFinding } from './place-findings.ts'
import type { Finding, Path } from './problems.ts'
import type { Position, TextNode, Tree } from './tree.ts'
import type { Resolved } from './variables.ts'
import { explainYamlError } from './yaml-errors.ts'

export interface ReadDocument {
  /** Null when the text is not one YAML document. */
  readonly tree: Tree | null
  readonly findings: readonly PlacedFinding[]
}

const DEPTH_MAX = 16
/** Counts what aliases repeat, so that a few of them cannot stand for billions of nodes. */
const NODES_MAX = 200_000
const START: Position = { line: 1, column: 1 }

/**
 * Parses a configuration's text. The failsafe schema leaves every scalar as it is written, so that
 * an address or "0.10" without quotes survives.
 *
 * @param resolve Puts in the variables of one scalar.
 */
export function readDocument(text: string, resolve: (written: string) => Resolved): ReadDocument {
  const lines = new LineCounter()
  const parsed = parseYaml(text, lines)
  if (parsed === null) return broken({ message: 'is nested too deeply', cure: 'Flatten it.' })
  const errors = [...parsed.errors, ...parsed.warnings]
  if (errors.length > 0) {
    const findings = errors.map(error => ({
      ...explainYamlError(error.code),
      path: [],
      at: positionOf(lines, error.pos[0]),
    }))
    return { tree: null, findings }
  }
  if (parsed.contents === null) {
    return broken({ message: 'the file is empty', cure: 'Start with gateway.example.yaml.' })
  }
  const builder: Builder = {
    lines,
    resolve,
    anchors: new Map(),
    findings: [],
    nodesLeft: NODES_MAX,
  }
  const tree = build(builder, parsed.contents, { path: [], at: START, depth: 0 })
  const tooLarge = builder.nodesLeft < 0
  if (tooLarge) return broken({ message: 'holds too much', cure: 'Use fewer aliases.' })
  return { tree, findings: builder.findings }
}

function parseYaml(text: string, lineCounter: LineCounter) {
  try {
    return parseDocument(text, {
      schema: 'failsafe',
      strict: true,
      merge: false,
      resolveKnownTags: false,
      prettyErrors: false,
      stringKeys: false,
      logLevel: 'error',
      // Its check compares every key with every other; `addEntry` does it with a map.
      uniqueKeys: false,
      lineCounter,
    })
  } catch {
    // The parser recurses, and runs out of stack on a text made to be deep.
    return null
  }
}

function broken(finding: Finding): ReadDocument {
  return { tree: null, findings: [{ ...finding, path: [], at: START }] }
}

interface Builder {
  readonly lines: LineCounter
  readonly resolve: (written: string) => Resolved
  readonly anchors: Map<string, Node>
  readonly findings: PlacedFinding[]
  nodesLeft: number
}

interface Spot {
  readonly path: Path
  /** For a value that is not written at all: where it would stand. */
  readonly at: Position
  readonly depth: number
}

function build(builder: Builder, node: Node | null, spot: Spot): Tree {
  const at = node?.range ? positionOf(builder.lines, node.range[0]) : spot.at
  const here = { ...spot, at }
  if (--builder.nodesLeft < 0) return emptyText(at)
  if (spot.depth > DEPTH_MAX) {
    report(builder, here, { message: 'is nested too deeply', cure: 'Flatten it.' })
    return emptyText(at)
  }
  if (node === null) return emptyText(at)
  if (isAlias(node)) return buildAlias(builder, node.source, here)
  if (node.anchor !== undefined) builder.anchors.set(node.anchor, node)
  if (isScalar(node)) return buildText(builder, textOf(node), here)
  if (isMap(node)) return buildMap(builder, node, here)
  if (!isSeq(node)) return emptyText(at)
  const items = node.items.map((item, index) => ({
    index,
    node: build(builder, asNode(item), { path: [...spot.path, index], at, depth: spot.depth + 1 }),
  }))
  return { kind: 'list', items, at }
}

function buildAlias(builder: Builder, name: string, spot: Spot): Tree {
  const target = builder.anchors.get(name)
  if (target !== undefined) return build(builder, target, { ...spot, depth: spot.depth + 1 })
  const cure = 'Mark what it stands for with & and the same name, before it is used.'
  report(builder, spot, { message: 'is an alias of nothing', cure })
  return emptyText(spot.at)
}

function buildText(builder: Builder, written: string, spot: Spot): TextNode {
  const { value, findings } = builder.resolve(written)
  for (const finding of findings) report(builder, spot, finding)
  return { kind: 'text', written, value, at: spot.at }
}

function buildMap(builder: Builder, map: YAMLMap, spot: Spot): Tree {
  const entries = new Map<string, { keyAt: Position; node: Tree }>()
  for (const pair of map.items) addEntry(builder, pair, { entries, spot })
  return { kind: 'map', entries, at: spot.at }
}

function addEntry(
  builder: Builder,
  pair: Pair,
  into: { entries: Map<string, { keyAt: Position; node: Tree }>; spot: Spot },
): void {
  const { entries, spot } = into
  const keyNode = asNode(pair.key)
  const keyAt = keyNode?.range ? positionOf(builder.lines, keyNode.range[0]) : spot.at
  const key = keyNode !== null && isScalar(keyNode) ? textOf(keyNode) : ''
  const path = [...spot.path, key]
  // An object with this key would be an object with another prototype.
  if (key === '' || key === '__proto__') {
    const cure = 'Write a plain name before the colon.'
    report(builder, { ...spot, at: keyAt }, { message: 'has a key that is not a name', cure })
  } else if (entries.has(key)) {
    const cure = 'Keep one of the two: only one could count.'
    report(builder, { ...spot, path, at: keyAt }, { message: 'is written twice', cure })
  } else {
    const value = { path, at: keyAt, depth: spot.depth + 1 }
    entries.set(key, { keyAt, node: build(builder, asNode(pair.value), value) })
  }
}

function report(builder: Builder, spot: Spot, finding: Finding): void {
  builder.findings.push({ ...finding, path: spot.path, at: spot.at })
}

function asNode(value: unknown): Node | null {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value) ? value : null
}

function textOf(scalar: { value: unknown; source?: string }): string {
  return typeof scalar.value === 'string' ? scalar.value : (scalar.source ?? '')
}

function emptyText(at: Position): TextNode {
  return { kind: 'text', written: '', value: '', at }
}

function positionOf(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}
