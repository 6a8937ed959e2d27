import { formatAmount } from '../core/amount.ts'
import type { Offer } from '../core/payment.ts'
import type { Network } from '../networks/registry.ts'
import { readPrice } from '../pricing/price.ts'
import type { CheckContext } from './check-context.ts'
import type { FacilitatorPreset } from './facilitator-presets.ts'
import type { GatewayConfig, RouteConfig } from './gateway-config.ts'
import type { Finding, Path } from './problems.ts'

/**
 * Holds every offer against what is known of the facilitators that it could go through. An offer
 * that none of them takes is an error: its buyers would be refused, every time. One that only some
 * take is worth a note.
 *
 * Nothing is known of a URL of the operator's own, so it takes everything.
 */
export function checkFacilitatorLimits(config: GatewayConfig, context: CheckContext): void {
  const places = config.facilitators.map((facilitator, index) => ({ facilitator, index }))
  // One that was wrong and left out might have taken what the others do not.
  const isWhole = context.countAt(['facilitators']) === places.length
  for (const route of config.routes) {
    if (route.price.kind === 'free') continue
    for (const offer of route.price.offers) {
      const refusals = places.flatMap(
        place => findRefusal({ ...place, route, offer }, context) ?? [],
      )
      const limits = refusals.filter(({ by }) => by === 'limit')
      const isTaken = !isWhole || refusals.length < places.length
      const notable = refusals.filter(({ by }) => by !== 'method')
      if (isTaken) for (const { path, finding } of notable) context.note(path, finding)
      else for (const { path, finding } of limits) context.report(path, finding)
      if (!isTaken && limits.length === 0 && places.length > 0) reportNotServed(offer, context)
    }
  }
  noteRegistrations(places, context)
}

interface Refusal {
  /** `method`: what it settles is paid in another way, as is plain from its name. */
  readonly by: 'method' | 'network' | 'limit'
  readonly path: Path
  readonly finding: Finding
}

type AnyFacilitator = GatewayConfig['facilitators'][number]

interface Asked {
  readonly facilitator: AnyFacilitator
  readonly index: number
  readonly route: RouteConfig
  readonly offer: Offer
}

/** Why a facilitator does not take an offer; null where it does, as far as is known. */
function findRefusal(asked: Asked, context: CheckContext): Refusal | null {
  const { facilitator, index, route, offer } = asked
  const preset = presetOf(facilitator, context)
  const network = context.networks.find(offer.requirements.network)
  if (!isPaidItsWay(facilitator, preset, offer)) {
    const message = `${facilitator.name} does not settle payments of this kind`
    const cure = 'They go to the other facilitators.'
    return { by: 'method', path: ['facilitators', index], finding: { message, cure } }
  }
  if (!isServed(facilitator, preset, network)) {
    const message = `${facilitator.name} does not serve ${network?.name}, as far as is known`
    const cure = 'Payments there go to the other facilitators.'
    return { by: 'network', path: ['facilitators', index], finding: { message, cure } }
  }
  if (preset === null) return null
  const finding =
    aboutDescription(facilitator, preset, route) ?? aboutMinimum(asked, preset, context)
  return finding && { by: 'limit', ...finding }
}

/** Nothing is known of a service that has a URL of the operator's own. */
function isPaidItsWay(
  facilitator: AnyFacilitator,
  preset: FacilitatorPreset | null,
  { transferMethod }: Offer,
): boolean {
  const fromWallet = transferMethod === 'gateway-wallet'
  if (preset !== null) return preset.gatewayWallet === fromWallet
  return !fromWallet || (facilitator.kind === 'http' && facilitator.quirks.supported === null)
}

function isServed(
  facilitator: AnyFacilitator,
  preset: FacilitatorPreset | null,
  network: Network | null,
): boolean {
  if (network === null) return true
  if (facilitator.kind === 'local') {
    const { networks } = facilitator
    // Without one, those that it names were wrong and reported.
    return networks.length === 0 || networks.some(({ id }) => id === network.id)
  }
  const { quirks } = facilitator
  if (quirks.supported !== null) return quirks.supported.includes(network.id)
  return preset?.networks?.includes(network.name) ?? true
}

function aboutDescription(
  { name }: AnyFacilitator,
  { limits }: FacilitatorPreset,
  { key, description }: RouteConfig,
): Pick<Refusal, 'path' | 'finding'> | null {
  const max = limits.descriptionLength
  const length = [...(description ?? '')].length
  if (max === null || length <= max) return null
  const message = `has ${length} characters, and ${name} takes payments with at most ${max}`
  const cure = `Shorten it to ${max} characters.`
  return { path: ['routes', key, 'description'], finding: { message, cure } }
}

function aboutMinimum(
  { facilitator, route, offer }: Asked,
  { limits }: FacilitatorPreset,
  context: CheckContext,
): Pick<Refusal, 'path' | 'finding'> | null {
  if (limits.minimum === null) return null
  const minimum = readPrice(limits.minimum)
  const { requirements, symbol, decimals, amount } = offer
  const network = context.networks.find(requirements.network)
  const asset = network?.assets.find(({ address }) => address === requirements.asset)
  if (minimum.kind !== 'paid' || asset === undefined) return null
  const least = minimum.amountIn(asset)
  if (least.kind !== 'amount' || amount >= least.atomic) return null
  const price = `${formatAmount(amount, decimals)} ${symbol}`
  const message = `${price} on ${network?.name} is less than ${facilitator.name} settles`
  const cure = `Ask for ${limits.minimum} at least, or name a facilitator that takes less.`
  return { path: ['routes', route.key, 'price'], finding: { message, cure } }
}

function reportNotServed({ requirements, transferMethod }: Offer, context: CheckContext): void {
  const network = context.networks.find(requirements.network)
  const fromWallet = transferMethod === 'gateway-wallet'
  const serving = [...context.presets].filter(
    ([, { networks, gatewayWallet }]) =>
      gatewayWallet === fromWallet && networks?.includes(network?.name ?? ''),
  )
  const some = serving.slice(0, 3).map(([name]) => name)
  const kind = fromWallet ? 'payments via Circle Gateway on ' : ''
  const message = `none of these serves ${kind}${network?.name}, as far as is known`
  const cure =
    some.length === 0
      ? 'Write the URL of a facilitator that does.'
      : `Add one that does, like ${some.join(', ')}, or write the URL of another.`
  context.report(['facilitators'], { message, cure })
}

function noteRegistrations(
  places: readonly { readonly facilitator: AnyFacilitator; readonly index: number }[],
  context: CheckContext,
): void {
  for (const { facilitator, index } of places) {
    const registration = presetOf(facilitator, context)?.registration ?? null
    if (registration === null) continue
    const message = `${facilitator.name} pays only addresses that are registered with it`
    const cure = `Register every payTo at ${registration}, if that is not done.`
    context.note(['facilitators', index], { message, cure })
  }
}

function presetOf(facilitator: AnyFacilitator, context: CheckContext): FacilitatorPreset | null {
  const preset = facilitator.kind === 'http' ? facilitator.preset : null
  return preset === null ? null : (context.presets.get(preset) ?? null)
}
