import type { NetworkId } from '../core/payment.ts'
import {
  type Asset,
  createNetworkRegistry,
  type Network,
  type NetworkRegistry,
} from '../networks/registry.ts'
import { readEvmAddress } from './check-address.ts'
import type { CheckContext } from './check-context.ts'
import { readHttpUrl } from './check-url.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { AssetSetting, NetworkSetting } from './schema-networks.ts'

/** The networks that farebox knows, with what the operator says of them and adds. */
export function checkNetworks(settings: Settings, context: CheckContext): NetworkRegistry {
  const known = new Map(context.networks.networks.map(network => [network.name, network]))
  for (const [name, setting] of Object.entries(settings.networks)) {
    const path = ['networks', name]
    const network = checkNetwork(name, setting, { path, known: known.get(name) ?? null, context })
    if (network === null) continue
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

interface NetworkScope {
  readonly path: Path
  /** Null for a network of the operator's own. */
  readonly known: Network | null
  readonly context: CheckContext
}

function checkNetwork(name: string, setting: NetworkSetting, scope: NetworkScope): Network | null {
  const { path, known, context } = scope
  const id = setting.id as NetworkId | undefined // the schema's pattern has a colon
  if (known !== null && id !== undefined && id !== known.id) {
    const message = `is another chain than ${name}, which is ${known.id}`
    context.report([...path, 'id'], { message, cure: 'Give your network another name.' })
    return null
  }
  const [first, ...rest] = (setting.assets ?? []).map((asset, index) =>
    checkAsset(asset, [...path, 'assets', index], context),
  )
  const assets = first === undefined ? known?.assets : ([first, ...rest] as const)
  const chain = id ?? known?.id
  if (chain === undefined || assets === undefined) {
    const message = 'is not a network that farebox knows, and lacks its id or its assets'
    context.report(path, { message, cure: 'Add both as config/networks.yaml has them.' }, 'key')
    return null
  }
  return {
    ...{ id: chain, name, assets },
    v1Name: setting.v1 ?? known?.v1Name ?? null,
    testnet: setting.testnet ?? known?.testnet ?? false,
    rpc: checkRpc(setting.rpc, path, context) ?? known?.rpc ?? [],
    finality: setting.finality ?? known?.finality ?? null,
  }
}

function checkAsset(setting: AssetSetting, path: Path, context: CheckContext): Asset {
  const read = readEvmAddress(setting.address)
  if (read.kind === 'refused') context.report([...path, 'address'], read)
  return {
    ...setting,
    address: read.kind === 'address' ? read.address : '',
    dollarPegged: setting.dollarPegged ?? false,
  }
}

/** The findings never repeat a URL: most carry a key. */
function checkRpc(
  urls: readonly string[] | undefined,
  path: Path,
  context: CheckContext,
): readonly string[] | undefined {
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
  return urls
}

function sharesSpelling(one: Network, other: Network): boolean {
  const spellings = (network: Network): (string | null)[] => [
    network.id,
    network.name,
    network.v1Name,
  ]
  return spellings(one).some(spelling => spelling !== null && spellings(other).includes(spelling))
}
