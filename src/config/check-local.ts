import { isAbsolute, resolve } from 'node:path'
import { createNetworkRegistry, type NetworkRegistry } from '../networks/registry.ts'
import { readEvmAddress } from './check-address.ts'
import type { CheckContext } from './check-context.ts'
import { checkRpc } from './check-networks.ts'
import { readHttpUrl } from './check-url.ts'
import type { LocalFacilitatorConfig, LocalNetworkConfig, SigningKey } from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'
import type { LocalSetting } from './schema-local.ts'
import { suggestName } from './suggest.ts'

type KeySetting = NonNullable<LocalSetting['key']>

/** Where a file writes a local facilitator. */
interface LocalEntry {
  readonly local: LocalSetting
  readonly path: Path
}

/** The local facilitators among the entries of `facilitators`. */
export function localEntries({ facilitators = [] }: Settings): LocalEntry[] {
  return facilitators.flatMap((entry, index) =>
    'local' in entry ? [{ local: entry.local, path: ['facilitators', index, 'local'] }] : [],
  )
}

/** The networks with the nodes that local facilitators name: all share them. */
export function addLocalRpc(
  known: NetworkRegistry,
  entries: readonly LocalEntry[],
  context: CheckContext,
): NetworkRegistry {
  const added = new Map<string, string[]>()
  for (const { local, path } of entries) {
    for (const [name, { rpc }] of Object.entries(local.networks)) {
      checkRpc(rpc, [...path, 'networks', name], context)
      const id = known.find(name)?.id ?? name
      added.set(id, [...(added.get(id) ?? []), ...(rpc ?? [])])
    }
  }
  return createNetworkRegistry(
    known.networks.map(network => {
      const rpc = [...new Set([...network.rpc, ...(added.get(network.id) ?? [])])]
      return added.has(network.id) ? { ...network, rpc } : network
    }),
  )
}

export function checkLocalFacilitator(
  { local: setting, workers }: { readonly local: LocalSetting; readonly workers: number },
  path: Path,
  context: CheckContext,
): LocalFacilitatorConfig {
  const { gasLimit, journal, replaceAfter, settleTimeout } = setting
  if (workers > 1) {
    const message = 'cannot be shared by several workers: one process gives out the nonces of a key'
    context.report(
      path,
      { message, cure: 'Write server.workers: 1, or name a facilitator.' },
      'key',
    )
  }
  return {
    kind: 'local',
    name: 'local',
    networks: checkLocalNetworks(setting, [...path, 'networks'], context),
    keys: checkKeys(setting, path, context),
    gasMax: BigInt(gasLimit),
    deployers: setting.deployers.map((address, index) =>
      checkAddress(address, [...path, 'deployers', index], context).toLowerCase(),
    ),
    journal: isAbsolute(journal) ? journal : resolve(context.directory, journal),
    replaceAfterMs: replaceAfter,
    settleTimeoutMs: settleTimeout,
    concurrency: setting.concurrency,
  }
}

function checkLocalNetworks(
  { networks }: LocalSetting,
  path: Path,
  context: CheckContext,
): LocalNetworkConfig[] {
  const entries = Object.entries(networks)
  if (entries.length === 0) {
    const cure = 'Name one, like base: {rpc: https://…}.'
    context.report(path, { message: 'has no entry: there is nothing to settle on', cure })
  }
  return entries.flatMap(([name, { maxFeePerGas }]) => {
    const at = [...path, name]
    const network = context.networks.find(name)
    if (network === null) {
      const names = context.networks.networks.map(one => one.name)
      const message = 'is not a network that farebox knows'
      context.report(at, { message, cure: suggestName(name, names) }, 'key')
      return []
    }
    if (network.family !== 'evm') {
      const cure = 'Name an EVM network; others need a facilitator that serves them.'
      context.report(
        at,
        { message: 'is no network that farebox can settle on itself', cure },
        'key',
      )
      return []
    }
    if (network.rpc.length === 0) {
      const cure = `Write rpc: and the URL of a node, here or under networks.${network.name}.`
      context.report(at, { message: 'names no node of the chain', cure }, 'key')
    }
    return [{ id: network.id, feeCap: maxFeePerGas }]
  })
}

function checkKeys(setting: LocalSetting, path: Path, context: CheckContext): SigningKey[] {
  const ways = (['key', 'keys', 'signer'] as const).filter(way => setting[way] !== undefined)
  if (ways.length !== 1) {
    const what = ways.length === 0 ? 'names no key to send with' : `names ${ways.join(' and ')}`
    const cure = 'Write one of key, keys and signer.'
    context.report(path, { message: what, cure }, 'key')
  }
  if (setting.signer !== undefined)
    return [checkSigner(setting.signer, [...path, 'signer'], context)]
  if (setting.key !== undefined) return [checkKey(setting.key, [...path, 'key'], context)]
  return (setting.keys ?? []).map((key, index) => checkKey(key, [...path, 'keys', index], context))
}

/** The findings never repeat a key. */
function checkKey(setting: KeySetting, path: Path, context: CheckContext): SigningKey {
  if (typeof setting !== 'string') return checkSigner(setting, path, context)
  const digits = setting.startsWith('0x') ? setting.slice(2) : setting
  if (!/^[0-9a-fA-F]{64}$/.test(digits) || !isOnCurve(digits)) {
    const cure = `Write 64 hex digits, best as \${VAR} or \${file:/path}.`
    context.report(path, { message: 'is not a private key', cure })
  }
  return { kind: 'private-key', privateKey: `0x${digits.toLowerCase()}` }
}

/** Between 1 and the order of secp256k1 (SEC 2, section 2.4.1). */
function isOnCurve(digits: string): boolean {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const number = BigInt(`0x${digits}`)
  return number > 0n && number < order
}

function checkSigner(
  setting: Exclude<KeySetting, string>,
  path: Path,
  context: CheckContext,
): SigningKey {
  const read = readHttpUrl(setting.url)
  if (read.kind === 'refused') context.report([...path, 'url'], read)
  return {
    kind: 'remote',
    url: setting.url,
    address: checkAddress(setting.address, [...path, 'address'], context),
  }
}

function checkAddress(text: string, path: Path, context: CheckContext): `0x${string}` {
  const read = readEvmAddress(text)
  if (read.kind === 'refused') context.report(path, read)
  return read.kind === 'address' ? (read.address as `0x${string}`) : '0x' // just checked
}
