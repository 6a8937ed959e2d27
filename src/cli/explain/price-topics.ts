import type { RouteConfig } from '../../config/gateway-config.ts'
import type { Path } from '../../config/problems.ts'
import { locate } from '../../config/tree.ts'
import { formatDuration, formatSize, type StatusRange } from '../../config/values.ts'
import type { Offer } from '../../core/payment.ts'
import { offerPrice } from '../check.ts'
import { isWritten, type Line, ownOrDefault, ownPath, type Subject, type Topic } from './topic.ts'

/** What a request costs, and when money moves. */
export const priceTopic: Topic = {
  title: 'PRICE',
  lines(subject) {
    const { route } = subject
    const priceAt = [ownPath(subject, 'price'), ownPath(subject)]
    if (route.price.kind === 'free') return [{ label: 'price', value: 'free', at: priceAt }]
    const written = priceAt.map(path => locate(subject.document, path)).find(({ exact }) => exact)
    const own = written?.node.kind === 'text' ? written.node.value : null
    const line = (label: string, value: string | null, ...at: Path[]): Line => ({
      label,
      value,
      at,
    })
    return [
      line('price', own ?? route.price.offers.map(offerPrice).join(' or '), ...priceAt),
      { label: 'mode', value: modeText(route), at: ownOrDefault(subject, 'mode') },
      line('settles', route.settle, ownPath(subject, 'settle')),
      line('billable', billableText(route), ownPath(subject, 'billable')),
      line('replay', replayText(route), ownPath(subject, 'replay')),
      {
        label: 'identifier',
        value: route.identifierRequired ? 'required' : 'optional',
        at: ownOrDefault(subject, 'paymentIdentifier'),
      },
    ]
  },
}

function modeText({ mode }: RouteConfig): string {
  return mode === 'shadow' ? 'SHADOW MODE: served to everybody for nothing' : mode
}

function billableText({ settle, billable }: RouteConfig): string | null {
  if (settle === 'before-upstream') return null
  return billable.map(statusText).join(', ')
}

function statusText({ from, to }: StatusRange): string {
  if (from % 100 === 0 && to === from + 99) return `${from / 100}xx`
  return from === to ? String(from) : `${from}-${to}`
}

function replayText({ replay }: RouteConfig): string {
  if (replay === null) return 'off'
  return `for ${formatDuration(replay.forMs)}, up to ${formatSize(replay.bytesMax)}`
}

/** How callers may pay, and who is asked to settle. */
export const offersTopic: Topic = {
  title: 'OFFERS',
  lines(subject) {
    const { price } = subject.route
    if (price.kind === 'free') return []
    const { facilitators } = subject.config
    return [
      ...price.offers.flatMap((offer, index) => offerLines(subject, offer, index)),
      ...facilitators.map(({ name }, index) => ({
        label: `facilitator ${index + 1}`,
        value: name,
        at: [['facilitators', index]],
      })),
    ]
  },
}

function offerLines(subject: Subject, offer: Offer, index: number): Line[] {
  const { amount, network, payTo, maxTimeoutSeconds, scheme } = offer.requirements
  const own = ownPath(subject, 'accepts')
  // A valid file has one offer for each entry, in the same order.
  const entry = [...(isWritten(subject.document, own) ? own : ['accepts']), index]
  const family = network.startsWith('solana:') ? 'solana' : 'evm'
  const name = offer.v1Network === null ? network : `${offer.v1Network} (${network})`
  const value = `${offerPrice(offer)} (${amount} atomic units), ${scheme}, on ${name}`
  const lifetime = formatDuration(maxTimeoutSeconds * 1000)
  return [
    { label: `offer ${index + 1}`, value, at: [entry] },
    { label: '  pays to', value: payTo, at: [[...entry, 'payTo'], ['payTo', family], ['payTo']] },
    { label: '  good for', value: lifetime, at: [[...entry, 'maxTimeout']] },
  ]
}
