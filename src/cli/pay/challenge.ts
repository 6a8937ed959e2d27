import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1'
import { z } from 'zod'
import { type AtomicAmount, atomicAmount } from '../../core/amount.ts'
import { isGatewayWallet } from '../../core/gateway-wallet.ts'
import type { NetworkId } from '../../core/payment.ts'
import { decodeBase64Text } from '../../x402/base64.ts'
import { parseStrictJson } from '../../x402/strict-json.ts'
import { evmAddress, uint256 } from '../../x402/wire.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** One entry of `accepts` that `farebox pay` knows how to pay. */
export interface AskedOffer {
  /** Exactly as the server wrote it, because a v2 payment repeats it. */
  readonly written: JsonObject
  /** As the server wrote it: CAIP-2, or a name like "base-sepolia" in v1. */
  readonly network: string
  readonly networkId: NetworkId
  readonly asset: string
  readonly payTo: string
  readonly amount: AtomicAmount
  /** How long the signed payment can be taken. */
  readonly maxTimeoutSeconds: number
}

/** What a server asks for in a 402. */
export interface Challenge {
  readonly version: 1 | 2
  /** The whole object as the server wrote it. */
  readonly written: JsonObject
  /** In the server's order, which is best first. May be empty. */
  readonly offers: readonly AskedOffer[]
  /** What else the server takes, like "upto on eip155:8453". Foreign text. */
  readonly unpayable: readonly string[]
  /** What is sold. Foreign text. */
  readonly description: string | null
  /** Why the server asks (again). Foreign text. */
  readonly error: string | null
}

export type DecodedChallenge =
  | { readonly kind: 'challenge'; readonly challenge: Challenge }
  | { readonly kind: 'malformed'; readonly reason: string }

/** What came with status 402. */
export interface ChallengeSource {
  /** Value of PAYMENT-REQUIRED; null when it was not sent. */
  readonly header: string | null
  readonly body: string
}

const DEPTH_MAX = 32
const ACCEPTS_MAX = 64
/** A payment that could be taken for longer than this is not one that we sign. */
const TIMEOUT_SECONDS_MAX = 24 * 60 * 60

const jsonObject = z.custom<JsonObject>(
  value => typeof value === 'object' && value !== null && !Array.isArray(value),
)
const accepts = z.array(jsonObject).min(1).max(ACCEPTS_MAX)

const challengeV2 = z.object({
  x402Version: z.literal(2),
  error: z.string().nullish(),
  resource: z.object({ description: z.string().nullish() }).nullish(),
  accepts,
})

const challengeV1 = z.object({ x402Version: z.literal(1), error: z.string().nullish(), accepts })

/**
 * Transfers that sign one amount for one receiver (x402 specification, scheme exact), and no
 * balance at Circle Gateway.
 */
const signable = z
  .looseObject({
    assetTransferMethod: z.enum(['eip3009', 'permit2']).nullish(),
    paymentFlow: z.enum(['authorization', 'upfront']).nullish(),
  })
  .refine(extra => !isGatewayWallet(extra))
  .nullish()

const common = {
  scheme: z.literal('exact'),
  asset: evmAddress,
  payTo: evmAddress,
  maxTimeoutSeconds: z.number().positive().max(TIMEOUT_SECONDS_MAX),
  extra: signable,
}
const offerV2 = z.object({
  ...common,
  network: z.string().regex(/^eip155:[1-9][0-9]{0,14}$/),
  amount: uint256,
})
const offerV1 = z.object({ ...common, network: z.string(), maxAmountRequired: uint256 })
const offerV1Text = z.object({ description: z.string().nullish() })

/**
 * Reads a 402 (x402 specification v2: the PAYMENT-REQUIRED header; v1: the JSON body). A header
 * wins, because a server that sends both speaks both.
 */
export function decodeChallenge(source: ChallengeSource): DecodedChallenge {
  if (source.header === null) return decodeV1(source.body)
  const json = decodeBase64Text(source.header)
  if (json === null) return malformed('its PAYMENT-REQUIRED header is not base64')
  return decodeV2(json)
}

function decodeV2(json: string): DecodedChallenge {
  const parsed = parseStrictJson(json, DEPTH_MAX)
  if (parsed.kind === 'flawed') return malformed(`its PAYMENT-REQUIRED header is ${parsed.flaw}`)
  const checked = challengeV2.safeParse(parsed.value)
  if (!checked.success) {
    return malformed(`its PAYMENT-REQUIRED header has no valid ${firstPath(checked.error)}`)
  }
  const { data } = checked
  return challengeOf(2, jsonObject.parse(parsed.value), {
    accepts: data.accepts,
    description: data.resource?.description ?? null,
    error: data.error ?? null,
  })
}

function decodeV1(json: string): DecodedChallenge {
  const parsed = parseStrictJson(json, DEPTH_MAX)
  if (parsed.kind === 'flawed') {
    return malformed('it has no PAYMENT-REQUIRED header (x402 v2), and its body is no x402 v1 JSON')
  }
  const checked = challengeV1.safeParse(parsed.value)
  if (!checked.success) return malformed(`its body has no valid ${firstPath(checked.error)}`)
  const { data } = checked
  const first = offerV1Text.safeParse(data.accepts[0])
  return challengeOf(1, jsonObject.parse(parsed.value), {
    accepts: data.accepts,
    description: (first.success ? first.data.description : null) ?? null,
    error: data.error ?? null,
  })
}

interface Contents {
  readonly accepts: readonly JsonObject[]
  readonly description: string | null
  readonly error: string | null
}

function challengeOf(version: 1 | 2, written: JsonObject, contents: Contents): DecodedChallenge {
  const { accepts, description, error } = contents
  const offers: AskedOffer[] = []
  const unpayable: string[] = []
  for (const entry of accepts) {
    const offer = version === 2 ? readOfferV2(entry) : readOfferV1(entry)
    if (offer === null) unpayable.push(`${named(entry['scheme'])} on ${named(entry['network'])}`)
    else offers.push(offer)
  }
  return {
    kind: 'challenge',
    challenge: { version, written, offers, unpayable, description, error },
  }
}

/** A server may put anything there, also an object that cannot be made a string. */
function named(value: unknown): string {
  return typeof value === 'string' ? value : 'something unnamed'
}

function readOfferV2(written: JsonObject): AskedOffer | null {
  const checked = offerV2.safeParse(written)
  if (!checked.success) return null
  const { network, asset, payTo, amount, maxTimeoutSeconds } = checked.data
  const chainId = Number(network.slice('eip155:'.length))
  return {
    ...{ written, network, asset, payTo, maxTimeoutSeconds },
    networkId: `eip155:${chainId}`,
    amount: atomicAmount(BigInt(amount)),
  }
}

/** Names of networks, as the library that signs knows them (x402 specification v1). */
const CHAIN_IDS = new Map<string, number>(Object.entries(EVM_NETWORK_CHAIN_ID_MAP))

function readOfferV1(written: JsonObject): AskedOffer | null {
  const checked = offerV1.safeParse(written)
  if (!checked.success) return null
  const { network, asset, payTo, maxAmountRequired, maxTimeoutSeconds } = checked.data
  const chainId = CHAIN_IDS.get(network)
  if (chainId === undefined) return null
  return {
    ...{ written, network, asset, payTo, maxTimeoutSeconds },
    networkId: `eip155:${chainId}`,
    amount: atomicAmount(BigInt(maxAmountRequired)),
  }
}

function malformed(reason: string): DecodedChallenge {
  return { kind: 'malformed', reason }
}

function firstPath(error: z.ZodError): string {
  const path = error.issues[0]?.path.slice(0, 2).join('.') ?? ''
  return path === '' ? 'object' : `"${path}"`
}
