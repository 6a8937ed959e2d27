import type { Path } from './problems.ts'

/** Both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A YAML document with the place of everything in it. */
export type Tree = TextNode | ListNode | MapNode

export interface TextNode {
  readonly kind: 'text'
  /** As the file has it, with its variables unresolved: safe to repeat where `value` is not. */
  readonly written: string
  readonly value: string
  readonly at: Position
}

export interface ListNode {
  readonly kind: 'list'
  /** `index` is the place in the file, which pruning does not move. */
  readonly items: readonly { readonly index: number; readonly node: Tree }[]
  readonly at: Position
}

export interface MapNode {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, { readonly keyAt: Position; readonly node: Tree }>
  readonly at: Position
}

/** What stands at a path, or the nearest thing around it. */
export interface Place {
  /** True when the whole path is there. */
  readonly exact: boolean
  readonly node: Tree
  /** Where the key stands; where the value stands for what has no key. */
  readonly keyAt: Position
  /** As much of the path as was found, with the places that list entries have in the file. */
  readonly path: Path
}

/** Follows a path as far as the document goes. */
export function locate(tree: Tree, path: Path): Place {
  const found: (string | number)[] = []
  let node = tree
  let keyAt = tree.at
  for (const part of path) {
    const next = step(node, part)
    if (next === null) return { exact: false, node, keyAt, path: found }
    node = next.node
    keyAt = next.keyAt
    found.push(next.name)
  }
  return { exact: true, node, keyAt, path: found }
}

/** The same path in the document that `tree` was pruned from, where list entries may differ. */
export function pathInFile(tree: Tree, path: Path): Path {
  const found = locate(tree, path).path
  return [...found, ...path.slice(found.length)]
}

function step(node: Tree, part: string | number) {
  if (node.kind === 'map') {
    const entry = node.entries.get(String(part))
    return entry === undefined ? null : { ...entry, name: String(part) }
  }
  if (node.kind === 'list' && typeof part === 'number') {
    const item = node.items[part]
    return item === undefined ? null : { node: item.node, keyAt: item.node.at, name: item.index }
  }
  return null
}

/** The document as plain values, for a schema to judge. */
export function toPlain(node: Tree): unknown {
  if (node.kind === 'text') return node.value
  if (node.kind === 'list') return node.items.map(item => toPlain(item.node))
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, toPlain(entry.node)]))
}

/** The document without what stands at these paths. */
export function prune(tree: Tree, paths: readonly Path[]): Tree {
  return withoutPaths(tree, new Set(paths.map(path => JSON.stringify(path))), [])
}

function withoutPaths(node: Tree, unwanted: ReadonlySet<string>, path: Path): Tree {
  const isWanted = (part: string | number) => !unwanted.has(JSON.stringify([...path, part]))
  if (node.kind === 'list') {
    const items = node.items.flatMap(({ index, node: item }, place) =>
      isWanted(place) ? [{ index, node: withoutPaths(item, unwanted, [...path, place]) }] : [],
    )
    return { ...node, items }
  }
  if (node.kind === 'map') {
    const kept = [...node.entries].filter(([key]) => isWanted(key))
    const entries = new Map(
      kept.map(([key, entry]) => [
        key,
        { ...entry, node: withoutPaths(entry.node, unwanted, [...path, key]) },
      ]),
    )
    return { ...node, entries }
  }
  return node
}
