import { resolve } from 'node:path'
import { readDocument } from './document.ts'
import type { Path } from './problems.ts'
import { locate, type Tree } from './tree.ts'
import { resolveVariables, secretFilesIn, type VariableSources } from './variables.ts'

/** Keys whose values are names of files that are read together with the configuration. */
const FILE_KEYS: readonly Path[] = [
  ['server', 'tls', 'cert'],
  ['server', 'tls', 'key'],
  ['server', 'tls', 'clientCa'],
]

/** The same, in every entry of a section. */
const FILE_KEYS_OF_ENTRIES: Readonly<Record<string, readonly Path[]>> = {
  routes: [['respond', 'file']],
  upstreams: [
    ['tls', 'ca'],
    ['tls', 'cert'],
    ['tls', 'key'],
  ],
}

/**
 * Absolute paths of the files that a configuration's text names: whatever changes in them is a
 * change of the configuration. Says what it can of a text that is no valid configuration.
 */
export function filesNamedIn(text: string, sources: VariableSources): string[] {
  const { directory } = sources
  const { tree } = readDocument(text, written => resolveVariables(written, sources))
  const named = tree === null ? [] : namedIn(tree).map(name => resolve(directory, name))
  return [...new Set([...secretFilesIn(text, directory), ...named])]
}

function namedIn(tree: Tree): string[] {
  const inEntries = Object.entries(FILE_KEYS_OF_ENTRIES).flatMap(([section, keys]) =>
    entriesOf(tree, section).flatMap(entry => keys.map(key => [section, entry, ...key])),
  )
  return [...FILE_KEYS, ...inEntries].flatMap(path => {
    const { exact, node } = locate(tree, path)
    return exact && node.kind === 'text' ? [node.value] : []
  })
}

function entriesOf(tree: Tree, section: string): string[] {
  const { exact, node } = locate(tree, [section])
  return exact && node.kind === 'map' ? [...node.entries.keys()] : []
}
