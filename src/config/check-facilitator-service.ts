import { createHash } from 'node:crypto'
import { readPrice } from '../pricing/price.ts'
import type { CheckedSettings } from './check.ts'
import { type CheckContext, createCheckContext, type KnownThings } from './check-context.ts'
import { addLocalRpc, checkLocalFacilitator } from './check-local.ts'
import { checkNetworks } from './check-networks.ts'
import { checkAdmin, checkStore } from './check-server.ts'
import {
  amountName,
  type CallerKeyConfig,
  type FacilitatorServiceConfig,
} from './facilitator-service-config.ts'
import type { LocalFacilitatorConfig } from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { FacilitatorServiceSettings } from './schema-facilitator-service.ts'
import type { Tree } from './tree.ts'

type KeySetting = FacilitatorServiceSettings['keys'][number]

/** Turns what the file of `farebox facilitator` says into what it runs on. */
export function checkFacilitatorService(
  settings: FacilitatorServiceSettings,
  trees: { readonly document: Tree; readonly pruned: Tree },
  known: KnownThings,
): CheckedSettings<FacilitatorServiceConfig> {
  const { context: bare, findings, notes } = createCheckContext(known, trees.document, trees.pruned)
  const path = ['local']
  const entries = [{ local: settings.local, path }]
  const networks = addLocalRpc(checkNetworks(settings, bare), entries, bare)
  const context: CheckContext = { ...bare, networks }
  // A response is not what is sold here: what was settled stays settled.
  const store = { ...settings.store, redeemable: 0 }
  // One process gives out the nonces of a key.
  const workers = 1
  const local = checkLocalFacilitator({ local: settings.local, workers }, path, context)
  const config: FacilitatorServiceConfig = {
    listen: settings.listen,
    admin: checkAdmin(settings.admin, settings.listen, context),
    local,
    keys: checkCallers(settings, local, context),
    networks: networks.networks,
    store: checkStore({ store, server: { workers } }, context),
  }
  return { config, findings, notes }
}

function checkCallers(
  { keys }: FacilitatorServiceSettings,
  local: LocalFacilitatorConfig,
  context: CheckContext,
): CallerKeyConfig[] {
  if (context.isWritten(['keys']) && context.countAt(['keys']) === 0) {
    const cure = 'Name who may ask, like {name: shop, sha256: …}.'
    context.report(['keys'], { message: 'has no entry: nobody could ask for anything', cure })
  }
  const callers = keys.map((key, index) => checkCaller(key, { local, index, context }))
  for (const [index, { name, sha256 }] of callers.entries()) {
    const before = callers.slice(0, index)
    if (before.some(other => other.name === name)) {
      const cure = 'Give each key a name of its own.'
      context.report(['keys', index, 'name'], { message: 'is there twice', cure })
    }
    if (sha256 !== '' && before.some(other => other.sha256 === sha256)) {
      const cure = 'Give each name a key of its own.'
      context.report(['keys', index], { message: 'has the key of another name', cure })
    }
  }
  return callers
}

interface CallerPlace {
  readonly local: LocalFacilitatorConfig
  readonly index: number
  readonly context: CheckContext
}

function checkCaller(setting: KeySetting, { local, index, context }: CallerPlace): CallerKeyConfig {
  const path = ['keys', index]
  const { perMinute, concurrency, maxAmount } = setting.limits
  const limitPath = [...path, 'limits', 'maxAmount']
  return {
    name: setting.name,
    sha256: checkKey(setting, path, context),
    ...{ perMinute, concurrency },
    amountsMax:
      maxAmount === undefined ? null : checkAmount(maxAmount, local, { path: limitPath, context }),
  }
}

/** Shorter ones could be guessed. */
const KEY_CHARACTERS_MIN = 20

/** The findings never repeat a key. */
function checkKey({ sha256, key }: KeySetting, path: Path, context: CheckContext): string {
  if ((sha256 === undefined) === (key === undefined)) {
    const message = sha256 === undefined ? 'has no key' : 'has both sha256 and key'
    const cure = `Write one of sha256: … and key: "\${VAR}".`
    // Either may be written and was cut out.
    const isReported = context.isWritten([...path, 'sha256']) || context.isWritten([...path, 'key'])
    if (sha256 !== undefined || !isReported) context.report(path, { message, cure })
    return ''
  }
  if (key !== undefined) {
    if (key.length >= KEY_CHARACTERS_MIN && /^[\x21-\x7e]+$/.test(key)) return sha256Of(key)
    const message = 'is not a key that can be sent and not be guessed'
    const cure = `Use at least ${KEY_CHARACTERS_MIN} random printable characters: openssl rand -hex 32.`
    context.report([...path, 'key'], { message, cure })
    return ''
  }
  if (/^[0-9a-fA-F]{64}$/.test(sha256 ?? '')) return (sha256 ?? '').toLowerCase()
  const cure = 'Write 64 hex digits, as of: printf %s "$KEY" | sha256sum.'
  context.report([...path, 'sha256'], { message: 'is not a SHA-256', cure })
  return ''
}

function sha256Of(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

function checkAmount(
  written: string,
  { networks }: LocalFacilitatorConfig,
  { path, context }: { readonly path: Path; readonly context: CheckContext },
): ReadonlyMap<string, bigint> {
  const amounts = new Map<string, bigint>()
  const price = readPrice(written)
  if (price.kind !== 'paid') {
    const cure = 'Write US dollars, like $5.'
    context.report(path, { message: `${context.quote(path)} is not an amount of dollars`, cure })
    return amounts
  }
  for (const { id } of networks) {
    for (const asset of context.networks.find(id)?.assets ?? []) {
      if (!asset.dollarPegged) continue
      const read = price.amountIn(asset)
      if (read.kind === 'refused') context.report(path, read)
      else amounts.set(amountName(id, asset.address), read.atomic)
    }
  }
  if (amounts.size === 0 && networks.length > 0) {
    const cure = 'Leave it out, or add the token under networks with dollarPegged: true.'
    context.report(path, { message: 'finds no token that is pegged to the dollar', cure })
  }
  return amounts
}
