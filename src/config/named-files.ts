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

/** What routes answer with. */
function answerKeys(tree: Tree | null): Path[] {
  const routes = tree === null ? null : locate(tree, ['routes'])
  if (routes === null || !routes.exact || routes.node.kind !== 'map') return []
  return [...routes.node.entries.keys()].map(key => ['routes', key, 'respond', 'file'])
}

/**
 * Absolute paths of the files that a configuration's text names: whatever changes in them is a
 * change of the configuration. Says what it can of a text that is no valid configuration.
 */
export function filesNamedIn(text: string, sources: VariableSources): string[] {
  const { directory } = sources
  const { tree } = readDocument(text, written => resolveVariables(written, sources))
  const named = [...FILE_KEYS, ...answerKeys(tree)].flatMap(path => {
    if (tree === null) return []
    const { exact, node } = locate(tree, path)
    return exact && node.kind === 'text' ? [resolve(directory, node.value)] : []
  })
  return [...new Set([...secretFilesIn(text, directory), ...named])]
}
