import {
  createNetworkRegistry,
  type Network,
  type NetworkRegistry,
  spellingsOf,
} from '../networks/registry.ts'
import type { CheckContext } from './check-context.ts'
import { readHttpUrl } from './check-url.ts'
import type { Path } from './problems.ts'
import { readNetwork } from './read-network.ts'
import type { Settings } from './schema.ts'

/** The networks that farebox knows, with what the operator says of them and adds. */
export function checkNetworks(
  settings: Pick<Settings, 'networks'>,
  context: CheckContext,
): NetworkRegistry {
  const known = new Map(context.networks.networks.map(network => [network.name, network]))
  for (const [name, setting] of Object.entries(settings.networks)) {
    const path = ['networks', name]
    const network = readNetwork(setting, {
      ...{ name, known: known.get(name) ?? null },
      report(inner, finding) {
        if (inner.length > 0) context.report([...path, ...inner], finding)
        // An id that is wrong was reported, and then cut out.
        else if (!context.isWritten([...path, 'id'])) context.report(path, finding, 'key')
      },
    })
    if (network === null) continue
    checkRpc(setting.rpc, path, context)
    const twin = [...known.values()].find(
      other => other.name !== name && sharesSpelling(other, network),
    )
    if (twin !== undefined) {
      const message = `has the id or the version 1 name of ${twin.name}`
      context.report(path, { message, cure: `Write it under ${twin.name}.` }, 'key')
      continue
    }
    known.set(name, network)
  }
  return createNetworkRegistry([...known.values()])
}

/** The findings never repeat a URL: most carry a key. */
export function checkRpc(
  urls: readonly string[] | undefined,
  path: Path,
  context: CheckContext,
): void {
  for (const [index, url] of (urls ?? []).entries()) {
    // Some providers take their key in the query; everything else is as for other servers.
    const read = readHttpUrl(url.split('?', 1)[0] ?? '')
    const isUrl = read.kind === 'url' && !/[\s#]/.test(url)
    const at = [...path, 'rpc', index]
    if (read.kind === 'refused') context.report(at, read)
    else if (!isUrl)
      context.report(at, { message: 'has a fragment', cure: 'Remove all from # on.' })
    else if (urls?.indexOf(url) !== index)
      context.report(at, { message: 'is there twice', cure: 'Keep one of the two.' })
  }
}

function sharesSpelling(one: Network, other: Network): boolean {
  const spellings = spellingsOf(one)
  return spellingsOf(other).some(spelling => spellings.includes(spelling))
}
