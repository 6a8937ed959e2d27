import type { Offer, ResourceInfo } from '../core/payment.ts'
import { asciiJson } from './base64.ts'
import { declareGasSponsoring } from './gas-sponsoring.ts'
import { declareIdentifier } from './payment-identifier.ts'

/** What a 402 says, ready to be written. */
export interface ChallengeAnswer {
  /** The x402 v1 object, as the body. */
  readonly body: Buffer
  /** The x402 v2 object in base64, for the `PAYMENT-REQUIRED` header. */
  readonly paymentRequired: string
}

/** One route's 402. Everything but the resource's URL and the error is built once. */
export interface Challenge {
  answer(resourceUrl: string, error: string): ChallengeAnswer
}

export const NOT_PAID = 'payment_required'

/**
 * Network names that the last v1 client knows (npm x402 1.2.0, `NetworkSchema`). It refuses a whole
 * challenge for one name beyond these, so others are offered in v2 only.
 */
const V1_CLIENT_NETWORKS = new Set([
  'abstract',
  'abstract-testnet',
  'avalanche',
  'avalanche-fuji',
  'base',
  'base-sepolia',
  'educhain',
  'iotex',
  'peaq',
  'polygon',
  'polygon-amoy',
  'sei',
  'sei-testnet',
  'skale-base-sepolia',
  'solana',
  'solana-devnet',
  'story',
])

// Characters that JSON.stringify leaves alone and no configuration value can hold.
const URL_MARK = '\ufdd0url\ufdd0'
const ERROR_MARK = '\ufdd0error\ufdd0'
const MARKS = /\ufdd0(?:url|error)\ufdd0/

/**
 * Finished answers of all routes, so that a hot URL is built once. Bounded: callers choose URLs.
 */
export type ChallengeCache = Map<string, ChallengeAnswer>

const ANSWERS_KEPT_MAX = 2048
const CACHED_URL_CHARACTERS_MAX = 512

export interface ChallengedRoute {
  readonly key: string
  /** Shared by the routes of one snapshot; the key tells them apart in it. */
  readonly cache: ChallengeCache
  /** Whether a payment must carry an identifier. */
  readonly identifierRequired: boolean
  /** Extensions by which the gas of a payer's approval is paid for. */
  readonly gasSponsoring: readonly string[]
}

export function createChallenge(
  route: ChallengedRoute,
  offers: readonly Offer[],
  resource: Omit<ResourceInfo, 'url'>,
): Challenge {
  const v1 = createTemplate(challengeV1(offers, resource))
  const v2 = createTemplate(challengeV2(offers, resource, route))
  const { cache } = route
  const build = (resourceUrl: string, error: string): ChallengeAnswer => ({
    body: Buffer.from(v1(resourceUrl, error)),
    paymentRequired: Buffer.from(v2(resourceUrl, error), 'latin1').toString('base64'),
  })

  return {
    answer(resourceUrl, error) {
      if (error !== NOT_PAID || resourceUrl.length > CACHED_URL_CHARACTERS_MAX) {
        return build(resourceUrl, error)
      }
      const cacheKey = `${route.key}\n${resourceUrl}`
      const known = cache.get(cacheKey)
      if (known !== undefined) return known
      const answer = build(resourceUrl, error)
      if (cache.size >= ANSWERS_KEPT_MAX) cache.clear()
      cache.set(cacheKey, answer)
      return answer
    },
  }
}

/** x402 specification v1, PaymentRequirementsResponse. */
function challengeV1(offers: readonly Offer[], resource: Omit<ResourceInfo, 'url'>): unknown {
  const known = offers.filter(({ v1Network }) => v1Network && V1_CLIENT_NETWORKS.has(v1Network))
  const listed = known.length > 0 ? known : offers
  return {
    x402Version: 1,
    error: ERROR_MARK,
    accepts: listed.map(({ requirements, v1Network }) => ({
      scheme: requirements.scheme,
      network: v1Network ?? requirements.network,
      maxAmountRequired: requirements.amount,
      resource: URL_MARK,
      description: resource.description ?? '',
      mimeType: resource.mimeType ?? '',
      payTo: requirements.payTo,
      maxTimeoutSeconds: requirements.maxTimeoutSeconds,
      asset: requirements.asset,
      extra: requirements.extra,
    })),
  }
}

/** x402 specification v2, PaymentRequired. */
function challengeV2(
  offers: readonly Offer[],
  resource: Omit<ResourceInfo, 'url'>,
  { identifierRequired, gasSponsoring }: ChallengedRoute,
): unknown {
  return {
    x402Version: 2,
    error: ERROR_MARK,
    resource: { url: URL_MARK, ...resource },
    accepts: offers.map(offer => offer.requirements),
    extensions: {
      ...declareIdentifier(identifierRequired),
      ...declareGasSponsoring(gasSponsoring),
    },
  }
}

/** Cuts the JSON at its marks once, so that an answer is a few strings put together. */
function createTemplate(object: unknown): (resourceUrl: string, error: string) => string {
  const json = JSON.stringify(object)
  const marks = json.match(new RegExp(MARKS, 'g')) ?? []
  const pieces = json.split(MARKS).map(asciiJson)
  return (resourceUrl, error) => {
    const url = jsonContent(resourceUrl)
    const reason = jsonContent(error)
    let text = pieces[0] ?? ''
    for (const [index, mark] of marks.entries()) {
      text += (mark === URL_MARK ? url : reason) + (pieces[index + 1] ?? '')
    }
    return text
  }
}

function jsonContent(text: string): string {
  return asciiJson(JSON.stringify(text)).slice(1, -1)
}
