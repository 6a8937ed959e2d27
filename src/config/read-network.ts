import type { NetworkId } from '../core/payment.ts'
import type { Asset, Network, NetworkFamily } from '../networks/registry.ts'
import { type ReportFinding, readEvmAsset, readOtherAsset, readSolanaAsset } from './read-asset.ts'
import type { AssetSetting, NetworkSetting } from './schema-networks.ts'

interface NetworkScope {
  readonly name: string
  /** What is known of the network already; null for a new one. */
  readonly known: Network | null
  readonly report: ReportFinding
}

/**
 * One network as a file describes it, over what is known of it. Null, and reported, where it is
 * not clear which network is meant.
 */
export function readNetwork(setting: NetworkSetting, scope: NetworkScope): Network | null {
  const { name, known, report } = scope
  const id = readId(setting, scope)
  if (id === null) return null
  const facts = {
    ...{ id, name },
    v1Name: setting.v1 ?? known?.v1Name ?? null,
    aliases: setting.aliases ?? known?.aliases ?? [],
    testnet: setting.testnet ?? known?.testnet ?? false,
    explorer: readExplorer(setting, report) ?? known?.explorer ?? null,
    rpc: setting.rpc ?? known?.rpc ?? [],
    finality: setting.finality ?? known?.finality ?? null,
  }
  const assets = setting.assets ?? []
  const family = familyOf(id)
  if (family === 'evm') {
    const before = known?.family === family ? known.assets : []
    return { ...facts, family, assets: withAssets(before, assets, { read: readEvmAsset, report }) }
  }
  if (family === 'solana') {
    const before = known?.family === family ? known : null
    const programs = { ...before?.programs, ...setting.programs }
    const added = { read: readSolanaAsset, report }
    return { ...facts, family, programs, assets: withAssets(before?.assets ?? [], assets, added) }
  }
  const before = known?.family === family ? known.assets : []
  const read = (one: AssetSetting, place: Parameters<typeof readOtherAsset>[2]): Asset =>
    readOtherAsset(one, family, place)
  return { ...facts, family, assets: withAssets(before, assets, { read, report }) }
}

function readId(setting: NetworkSetting, { name, known, report }: NetworkScope): NetworkId | null {
  const id = setting.id as NetworkId | undefined // the schema's pattern has a colon
  if (known !== null && id !== undefined && id !== known.id) {
    const message = `is another chain than ${name}, which is ${known.id}`
    report(['id'], { message, cure: 'Give your network another name.' })
    return null
  }
  if (id !== undefined || known !== null) return id ?? known?.id ?? null
  const message = 'is not a network that farebox knows, and lacks its id'
  report([], { message, cure: 'Add id: and assets: as config/networks.yaml has them.' })
  return null
}

function familyOf(id: NetworkId): NetworkFamily {
  const [namespace] = id.split(':')
  return namespace === 'eip155' ? 'evm' : (namespace as NetworkFamily) // the schema's other ones
}

/** Those that are known keep their place, so that adding a token changes no default. */
function withAssets<T extends Asset>(
  known: readonly T[],
  settings: readonly AssetSetting[],
  {
    read,
    report,
  }: {
    readonly read: (
      setting: AssetSetting,
      scope: { readonly path: ['assets', number]; readonly report: ReportFinding },
    ) => T
    readonly report: ReportFinding
  },
): readonly T[] {
  const assets = [...known]
  for (const [index, setting] of settings.entries()) {
    const asset = read(setting, { path: ['assets', index], report })
    const place = assets.findIndex(one => isSameToken(one, asset))
    if (place >= known.length) {
      const message = 'has the symbol or the address of an entry before it'
      report(['assets', index], { message, cure: 'Keep one of the two.' })
    } else if (place === -1) {
      assets.push(asset)
    } else {
      assets[place] = asset
    }
  }
  return assets
}

function isSameToken(one: Asset, other: Asset): boolean {
  return one.symbol === other.symbol || one.address === other.address
}

function readExplorer({ explorer }: NetworkSetting, report: ReportFinding): string | null {
  if (explorer === undefined) return null
  const isLink = URL.canParse(explorer) && /^https?:\/\/[^{}]+\{transaction\}[^{}]*$/.test(explorer)
  if (isLink) return explorer
  const message = 'is not a link with {transaction} in it'
  report(['explorer'], {
    message,
    cure: 'Write it like https://explorer.example/tx/{transaction}.',
  })
  return null
}
