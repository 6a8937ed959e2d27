import { GATEWAY_WALLET_VALIDITY_SECONDS } from '../core/gateway-wallet.ts'
import { type EvmAsset, isSold, type SoldNetwork } from '../networks/registry.ts'
import { readEvmAddress } from './check-address.ts'
import type { CheckContext } from './check-context.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { AcceptSetting } from './schema-routes.ts'
import { suggestName } from './suggest.ts'

/** One entry of `accepts` with its names looked up: an offer that lacks only its price. */
export interface AcceptedAsset {
  readonly network: SoldNetwork
  readonly asset: EvmAsset
  /** With its checksum; empty when it is missing or wrong, which was reported. */
  readonly payTo: string
  readonly maxTimeoutMs: number
  /** True where callers pay from a balance in Circle's GatewayWallet. */
  readonly fromGatewayWallet: boolean
  /** Where it is written. */
  readonly path: Path
}

interface AcceptScope {
  /** Who is paid where an entry names nobody; null when that is missing or wrong. */
  readonly payTo: string | null
  readonly context: CheckContext
}

/** Looks up every entry of one `accepts`; those that are wrong are reported and left out. */
export function checkAccepts(
  accepts: readonly AcceptSetting[],
  path: Path,
  scope: AcceptScope,
): AcceptedAsset[] {
  const checked: AcceptedAsset[] = []
  for (const [index, setting] of accepts.entries()) {
    const accepted = checkAccept(setting, [...path, index], scope)
    if (accepted === null) continue
    const twin = checked.some(
      ({ network, asset, payTo, fromGatewayWallet }) =>
        network === accepted.network &&
        asset === accepted.asset &&
        payTo === accepted.payTo &&
        fromGatewayWallet === accepted.fromGatewayWallet,
    )
    if (twin) {
      const message = 'accepts what an entry before it accepts'
      scope.context.report(accepted.path, { message, cure: 'Keep one of the two.' })
    }
    checked.push(accepted)
  }
  return checked
}

function checkAccept(setting: AcceptSetting, path: Path, scope: AcceptScope): AcceptedAsset | null {
  const { context } = scope
  const network = findNetwork(setting.network, [...path, 'network'], context)
  const fromGatewayWallet = setting.via === 'circle-gateway'
  const symbol = setting.asset ?? (fromGatewayWallet ? 'USDC' : undefined)
  const asset = network && findAsset(symbol, network, { path, context })
  const receiver = findReceiver(setting, path, scope)
  if (fromGatewayWallet) checkGatewayWallet({ network, asset }, path, context)
  const maxTimeoutMs = fromGatewayWallet
    ? GATEWAY_WALLET_VALIDITY_SECONDS * 1000
    : setting.maxTimeout
  if (maxTimeoutMs % 1000 !== 0) {
    const message = 'is not a number of whole seconds, which is how x402 writes it'
    context.report([...path, 'maxTimeout'], { message, cure: 'Write it like 120s.' })
  }
  if (network === null || asset === null) return null
  // Without a receiver this is of no use, but prices can still be held against the token.
  return { network, asset, payTo: receiver ?? '', maxTimeoutMs, fromGatewayWallet, path }
}

/** Circle keeps balances in its own token, on the networks of its presets. */
function checkGatewayWallet(
  { network, asset }: { readonly network: SoldNetwork | null; readonly asset: EvmAsset | null },
  path: Path,
  context: CheckContext,
): void {
  const served = [...context.presets.values()].flatMap(({ gatewayWallet, networks }) =>
    gatewayWallet ? (networks ?? []) : [],
  )
  if (network !== null && !served.includes(network.name)) {
    const message = `Circle Gateway keeps no balances on ${network.name}`
    context.report([...path, 'via'], { message, cure: `It does on ${served.join(', ')}.` })
  } else if (asset !== null && asset.symbol !== 'USDC') {
    const message = `Circle Gateway keeps balances in USDC, not in ${asset.symbol}`
    context.report([...path, 'asset'], { message, cure: 'Remove asset:.' })
  }
  if (context.isWritten([...path, 'maxTimeout'])) {
    const message = `is always ${GATEWAY_WALLET_VALIDITY_SECONDS}s for payments via Circle Gateway`
    context.report([...path, 'maxTimeout'], { message, cure: 'Remove it.' }, 'key')
  }
}

function findNetwork(spelling: string, path: Path, context: CheckContext): SoldNetwork | null {
  const { networks, find } = context.networks
  const network = find(spelling)
  if (network !== null && isSold(network)) return network
  const names = networks.filter(isSold).map(({ name }) => name)
  if (network === null) {
    const message = `${context.quote(path)} is not a network that farebox knows`
    context.report(path, { message, cure: suggestName(spelling, names) })
  } else {
    const message = `farebox cannot check payments on ${network.name}, and sells nothing unchecked`
    const cure = 'Name another network: `farebox networks` shows which can be sold on.'
    context.report(path, { message, cure })
  }
  return null
}

function findAsset(
  spelling: string | undefined,
  network: SoldNetwork,
  { path, context }: { readonly path: Path; readonly context: CheckContext },
): EvmAsset | null {
  const [first] = network.assets
  if (first === undefined) {
    const message = `${network.name} has no token that farebox knows for sure`
    const cure = `Describe one under networks.${network.name}.assets, as config/networks.yaml does.`
    context.report([...path, 'network'], { message, cure })
    return null
  }
  if (spelling === undefined) return first
  const asset = network.assets.find(
    ({ symbol, address }) =>
      symbol === spelling || address.toLowerCase() === spelling.toLowerCase(),
  )
  if (asset !== undefined) return asset
  const symbols = network.assets.map(({ symbol }) => symbol)
  const assetPath = [...path, 'asset']
  const message = `${context.quote(assetPath)} is not a token that farebox knows on ${network.name}`
  context.report(assetPath, { message, cure: suggestName(spelling, symbols) })
  return null
}

function findReceiver(setting: AcceptSetting, path: Path, scope: AcceptScope): string | null {
  const { payTo, context } = scope
  if (setting.payTo !== undefined) return checkAddress(setting.payTo, [...path, 'payTo'], context)
  const isWritten = context.isWritten(['payTo']) || context.isWritten([...path, 'payTo'])
  if (payTo === null && !isWritten) reportNoReceiver(context)
  return payTo
}

export function reportNoReceiver(context: CheckContext): void {
  const cure = 'Write payTo: and your address at the top of the file.'
  context.report(['payTo'], { message: 'there is no payTo: nobody would be paid', cure })
}

/** The address that is paid where an entry names none; null when there is none to use. */
export function checkReceiver(settings: Settings, context: CheckContext): string | null {
  const { payTo } = settings
  if (payTo === undefined) return null
  if (typeof payTo === 'string') return checkAddress(payTo, ['payTo'], context)
  return checkAddress(payTo.evm, ['payTo', 'evm'], context)
}

function checkAddress(text: string, path: Path, context: CheckContext): string | null {
  const read = readEvmAddress(text)
  if (read.kind === 'address') return read.address
  context.report(path, read)
  return null
}
