import { type AtomicAmount, formatAmount, parseAmount } from '../../core/amount.ts'
import type { NetworkRegistry } from '../../networks/registry.ts'
import { EXIT_FAILED } from '../exit-code.ts'
import { type Failed, failed, usageFailure } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import type { AskedOffer, Challenge } from './challenge.ts'
import { createTokenLookup, type KnownToken, type TokenLookup } from './token.ts'

/** The most that one payment may cost. */
export type Limit =
  /** Whole tokens of a dollar-pegged token, as a plain decimal ("0.01"). */
  | { readonly kind: 'dollars'; readonly text: string }
  /** Atomic units of whatever token the server names. */
  | { readonly kind: 'atomic'; readonly units: AtomicAmount }

export interface Preference {
  readonly limit: Limit
  /** Pay on this network only: its name, its name in x402 v1, or its CAIP-2 id. */
  readonly network: string | null
  /** Pay in this token only. */
  readonly asset: string | null
}

export interface ChosenOffer {
  readonly kind: 'chosen'
  readonly offer: AskedOffer
  /** Null: not one that we know. */
  readonly token: KnownToken | null
  /** What people call the network; null: not one that we know. */
  readonly networkName: string | null
  /** The limit in this token's atomic units. */
  readonly limit: AtomicAmount
}

/** The server's first offer that is within the limit. Nothing is signed here. */
export function chooseOffer(
  challenge: Challenge,
  preference: Preference,
  registry: NetworkRegistry,
): ChosenOffer | Failed {
  const findToken = createTokenLookup(registry)
  const { network, asset } = preference
  const networkId = network === null ? null : (registry.find(network)?.id ?? network)
  const offers = challenge.offers.filter(
    offer =>
      (networkId === null || networkId === offer.networkId) &&
      (asset === null || asset.toLowerCase() === offer.asset.toLowerCase()),
  )
  const refusals: Failed[] = []
  for (const offer of offers) {
    const judged = judge(offer, preference.limit, findToken)
    if (judged.kind === 'within') {
      const networkName = registry.find(offer.networkId)?.name ?? null
      return { ...judged, kind: 'chosen', offer, networkName }
    }
    refusals.push(judged)
  }
  const overLimit = refusals.find(refusal => refusal.failure.code === 'over_limit')
  return overLimit ?? refusals[0] ?? nothingPayable(challenge)
}

/** The price as people read it: "0.001 USDC", or atomic units of a token that we do not know. */
export function priceText(offer: AskedOffer, token: KnownToken | null): string {
  if (token === null) return `${offer.amount} atomic units of ${offer.asset}`
  return `${formatAmount(offer.amount, token.decimals)} ${token.symbol}`
}

interface Within {
  readonly kind: 'within'
  readonly token: KnownToken | null
  readonly limit: AtomicAmount
}

function judge(offer: AskedOffer, limit: Limit, findToken: TokenLookup): Within | Failed {
  const token = findToken(offer.networkId, offer.asset)
  if (limit.kind === 'atomic') {
    if (offer.amount > limit.units) return aboveAtomic(offer, token, limit.units)
    return { kind: 'within', token, limit: limit.units }
  }
  if (token?.dollarPegged !== true) return unknownToken(offer, token)
  const parsed = parseAmount(limit.text, token.decimals)
  if (parsed.kind !== 'amount') return limitTooPrecise(limit.text, token)
  if (offer.amount > parsed.atomic) return aboveDollars(offer, token, limit.text)
  return { kind: 'within', token, limit: parsed.atomic }
}

function aboveDollars(offer: AskedOffer, token: KnownToken, limit: string): Failed {
  const price = formatAmount(offer.amount, token.decimals)
  return usageFailure(
    'over_limit',
    `The price is ${priceText(offer, token)} on ${offer.networkId}, above your limit of ${limit}.`,
    `Nothing was signed. Pass --max ${price} if you agree to that price.`,
  )
}

function aboveAtomic(offer: AskedOffer, token: KnownToken | null, limit: bigint): Failed {
  return usageFailure(
    'over_limit',
    `The price is ${offer.amount} atomic units (${priceText(offer, token)}) on ` +
      `${offer.networkId}, above your limit of ${limit}.`,
    `Nothing was signed. Pass --max-atomic ${offer.amount} if you agree to that price.`,
  )
}

function unknownToken(offer: AskedOffer, token: KnownToken | null): Failed {
  return usageFailure(
    'unknown_token',
    `The price is ${priceText(offer, token)} on ${offer.networkId}, ` +
      'and what that is in dollars is not known here.',
    'Nothing was signed. Look the token up, then limit the payment in its atomic units with ' +
      `--max-atomic ${offer.amount} --asset ${offer.asset}.`,
  )
}

function limitTooPrecise(text: string, token: KnownToken): Failed {
  return usageFailure(
    'bad_limit',
    `--max ${text} has more than the ${token.decimals} decimals that ${token.symbol} carries.`,
    `Write at most ${token.decimals} digits after the point.`,
  )
}

function nothingPayable(challenge: Challenge): Failed {
  const asked = [
    ...challenge.offers.map(offer => `exact on ${offer.network}, token ${offer.asset}`),
    ...challenge.unpayable,
  ]
  return failed({
    code: 'nothing_payable',
    message: `The server takes only: ${foreignText(asked.join('; '), 400)}.`,
    fix:
      'farebox pay signs scheme "exact" on EVM networks, with payments valid for a day at most. ' +
      'Check --network and --asset, ask the seller for such an offer, or pay with an x402 client ' +
      'that signs what the server takes.',
    exitCode: EXIT_FAILED,
  })
}
