import type { GatewayConfig, RouteConfig } from '../../config/gateway-config.ts'
import type { Path } from '../../config/problems.ts'
import { locate, type Tree } from '../../config/tree.ts'
import type { Offer } from '../../core/payment.ts'
import type { EvmNetwork } from '../../networks/registry.ts'

/** An offer, and where the file says what is in it. */
export interface PlacedOffer {
  readonly offer: Offer
  readonly network: EvmNetwork
  /** The entry of `accepts`. */
  readonly path: Path
  readonly payToPath: Path
  /** The token, where the operator describes it; else the entry of `accepts`. */
  readonly tokenPath: Path
}

/** Every offer of every route on EVM networks, whose nodes can be asked, with its places. */
export function placeOffers(config: GatewayConfig, document: Tree): PlacedOffer[] {
  return config.routes.flatMap(route => placeRoute(route, config, document))
}

function placeRoute({ key, price }: RouteConfig, config: GatewayConfig, document: Tree) {
  if (price.kind === 'free') return []
  const own = ['routes', key, 'accepts']
  const accepts = locate(document, own).exact ? own : ['accepts']
  // A valid file has one offer for each entry, in the same order.
  return price.offers.flatMap((offer, index) => {
    const network = config.networks.find(({ id }) => id === offer.requirements.network)
    if (network?.family !== 'evm') return []
    const path = [...accepts, index]
    const payToPath = firstWritten(document, [[...path, 'payTo'], ['payTo', 'evm'], ['payTo']])
    const tokenPath = findToken(document, network, offer) ?? path
    return [{ offer, network, path, payToPath, tokenPath }]
  })
}

function firstWritten(document: Tree, paths: readonly Path[]): Path {
  return paths.find(path => locate(document, path).exact) ?? paths.at(-1) ?? []
}

function findToken(document: Tree, { name }: EvmNetwork, { requirements }: Offer): Path | null {
  const assets = ['networks', name, 'assets']
  const { exact, node } = locate(document, assets)
  if (!exact || node.kind !== 'list') return null
  const index = node.items.findIndex((_, at) => {
    const address = locate(document, [...assets, at, 'address'])
    return address.node.kind === 'text' && sameAddress(address.node.value, requirements.asset)
  })
  return index === -1 ? null : [...assets, index]
}

export function sameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

/** The first offer of each kind: what many routes share is asked once. */
export function oncePer(
  offers: readonly PlacedOffer[],
  kindOf: (offer: PlacedOffer) => readonly string[],
): PlacedOffer[] {
  const first = new Map<string, PlacedOffer>()
  for (const offer of offers) {
    const kind = kindOf(offer).join('\n')
    if (!first.has(kind)) first.set(kind, offer)
  }
  return [...first.values()]
}
