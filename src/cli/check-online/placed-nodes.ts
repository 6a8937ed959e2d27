import type { Path } from '../../config/problems.ts'
import { locate, type Tree } from '../../config/tree.ts'

/**
 * Where the URL of a node is written: with its network, or with a facilitator that settles by
 * itself. The path tells nothing of the URL.
 */
export function placeNode(document: Tree, networkName: string, url: string): Path {
  const own = ['networks', networkName, 'rpc']
  const locals = childrenOf(document, ['facilitators']).flatMap(facilitator =>
    childrenOf(document, [...facilitator, 'local', 'networks']).map(network => [...network, 'rpc']),
  )
  // A local facilitator may name one node without a list.
  const places = [own, ...locals].flatMap(rpc => [rpc, ...childrenOf(document, rpc)])
  const isWritten = (path: Path): boolean => {
    const { exact, node } = locate(document, path)
    return exact && node.kind === 'text' && node.value === url
  }
  return places.find(isWritten) ?? own
}

function childrenOf(document: Tree, path: Path): Path[] {
  const { exact, node } = locate(document, path)
  if (!exact || node.kind === 'text') return []
  const names = node.kind === 'list' ? node.items.keys() : node.entries.keys()
  return [...names].map(name => [...path, name])
}
