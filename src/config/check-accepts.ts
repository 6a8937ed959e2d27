import { GATEWAY_WALLET_VALIDITY_SECONDS } from '../core/gateway-wallet.ts'
import { type EvmAsset, isSold, type SolanaAsset, type SoldNetwork } from '../networks/registry.ts'
import { readEvmAddress, readSolanaReceiver } from './check-address.ts'
import type { CheckContext } from './check-context.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { AcceptSetting } from './schema-routes.ts'
import { suggestName } from './suggest.ts'

/** One entry of `accepts` with its names looked up: an offer that lacks only its price. */
export interface AcceptedAsset {
  readonly network: SoldNetwork
  readonly asset: EvmAsset | SolanaAsset
  /** An EVM address with its checksum; empty when it is missing or wrong, which was reported. */
  readonly payTo: string
  readonly maxTimeoutMs: number
  /** True where callers pay from a balance in Circle's GatewayWallet. */
  readonly fromGatewayWallet: boolean
  /** Where it is written. */
  readonly path: Path
}

type SoldFamily = SoldNetwork['family']

/** Who is paid where an entry names nobody. */
export type Receivers = Readonly<Record<SoldFamily, Receiver>>

type Receiver =
  | { readonly kind: 'address'; readonly address: string }
  /** Nobody is named. */
  | { readonly kind: 'none' }
  /** It was reported. */
  | { readonly kind: 'wrong' }

interface AcceptScope {
  readonly payTo: Receivers
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
  const receiver = network && findReceiver(setting, network, { ...scope, path })
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
  {
    network,
    asset,
  }: {
    readonly network: SoldNetwork | null
    readonly asset: EvmAsset | SolanaAsset | null
  },
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
): EvmAsset | SolanaAsset | null {
  const [first] = network.assets
  if (first === undefined) {
    const message = `${network.name} has no token that farebox knows for sure`
    const cure = `Describe one under networks.${network.name}.assets, as config/networks.yaml does.`
    context.report([...path, 'network'], { message, cure })
    return null
  }
  if (spelling === undefined) return first
  const assets: readonly (EvmAsset | SolanaAsset)[] = network.assets
  const asset = assets.find(
    ({ symbol, address }) =>
      symbol === spelling ||
      address === spelling ||
      (network.family === 'evm' && address.toLowerCase() === spelling.toLowerCase()),
  )
  if (asset !== undefined) return asset
  const symbols = network.assets.map(({ symbol }) => symbol)
  const assetPath = [...path, 'asset']
  const message = `${context.quote(assetPath)} is not a token that farebox knows on ${network.name}`
  context.report(assetPath, { message, cure: suggestName(spelling, symbols) })
  return null
}

function findReceiver(
  setting: AcceptSetting,
  { family, name }: SoldNetwork,
  { payTo, path, context }: AcceptScope & { readonly path: Path },
): string | null {
  if (setting.payTo !== undefined) {
    const own = checkAddress(setting.payTo, family, { path: [...path, 'payTo'], context })
    return own.kind === 'address' ? own.address : null
  }
  const receiver = payTo[family]
  if (receiver.kind === 'address') return receiver.address
  if (receiver.kind === 'wrong' || context.isWritten([...path, 'payTo'])) return null
  if (!context.isWritten(['payTo'])) reportNoReceiver(context)
  else {
    const message = `names nobody who is paid on ${name}`
    const cure = `Write payTo: {${family}: …} beside the others.`
    context.report(['payTo'], { message, cure })
  }
  return null
}

export function reportNoReceiver(context: CheckContext): void {
  const cure = 'Write payTo: and your address at the top of the file.'
  context.report(['payTo'], { message: 'there is no payTo: nobody would be paid', cure })
}

const NOBODY = { kind: 'none' } as const

/** The addresses that are paid where an entry names none, by kind of network. */
export function checkReceivers({ payTo = {} }: Settings, context: CheckContext): Receivers {
  if (typeof payTo === 'string') {
    const family = readSolanaReceiver(payTo).kind === 'address' ? 'solana' : 'evm'
    const receiver = checkAddress(payTo, family, { path: ['payTo'], context })
    return { evm: NOBODY, solana: NOBODY, [family]: receiver }
  }
  const read = (family: SoldFamily): Receiver => {
    const path = ['payTo', family]
    const written = payTo[family]
    if (written !== undefined) return checkAddress(written, family, { path, context })
    return context.isWritten(path) ? { kind: 'wrong' } : NOBODY
  }
  return { evm: read('evm'), solana: read('solana') }
}

function checkAddress(
  text: string,
  family: SoldFamily,
  { path, context }: { readonly path: Path; readonly context: CheckContext },
): Receiver {
  const read = family === 'solana' ? readSolanaReceiver(text) : readEvmAddress(text)
  if (read.kind === 'address') return read
  context.report(path, read)
  return { kind: 'wrong' }
}
