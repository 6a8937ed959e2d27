import { isDeepStrictEqual } from 'node:util'
import { PaymentRequiredV1Schema, PaymentRequiredV2Schema, type z } from '@x402/core/schemas'
import type { RouteConfig } from '../../config/gateway-config.ts'
import { gatewayWalletOf, isGatewayWallet, isSameWallet } from '../../core/gateway-wallet.ts'
import type { Offer } from '../../core/payment.ts'
import { offersOf, resourceOf } from '../../flow/compile-snapshot.ts'
import { decodeBase64Text } from '../../x402/base64.ts'
import { createChallenge, NOT_PAID } from '../../x402/challenge.ts'
import { parseStrictJson } from '../../x402/strict-json.ts'
import { foreignText } from '../foreign-text.ts'
import type { Finding, FindingsAt } from './finding.ts'
import type { WebAnswer } from './web-request.ts'

/** What many proxies and clients take of headers at most (nginx `proxy_buffer_size`: 4 or 8 KB). */
const HEAD_BYTES_MAX = 8 * 1024
const DEPTH_MAX = 32

export interface Expected {
  readonly route: RouteConfig
  /** What was asked for, as `resource.url` should name it. */
  readonly url: string
}

type Refuse = (message: string, cure: string) => Finding

/** What is wrong with a 402 as a buyer sees it; nothing where all is right. */
export function judgeChallenge(
  answer: WebAnswer,
  expected: Expected,
  at: FindingsAt,
): readonly Finding[] {
  const refuse: Refuse = (message, cure) => at.problem(`${expected.route.key}: ${message}`, cure)
  const findings = [judgeHead(answer, refuse), judgeStorage(answer, refuse)]
  const v2 = readHeader(answer.header('payment-required'))
  const v1 = readJson(answer.body ?? '')
  const header = PaymentRequiredV2Schema.safeParse(v2)
  const body = PaymentRequiredV1Schema.safeParse(v1)
  const altered = 'Let nothing between buyers and the gateway change headers and bodies of a 402.'
  if (!header.success) {
    const what = v2 === undefined ? 'base64 of JSON' : 'what x402 version 2 says'
    const shown = answer.header('payment-required') === null ? 'missing' : `not ${what}`
    findings.push(refuse(`the PAYMENT-REQUIRED header is ${shown}`, altered))
  }
  if (!body.success) findings.push(refuse('the body is not what x402 version 1 says', altered))
  if (header.success && body.success) {
    const told = { url: header.data.resource.url, v2: header.data.accepts, v1: body.data.accepts }
    findings.push(...judgeOffers(told, expected, refuse))
  }
  return findings.filter(finding => finding !== null)
}

function judgeHead({ headBytes }: WebAnswer, refuse: Refuse): Finding | null {
  if (headBytes < HEAD_BYTES_MAX) return null
  return refuse(
    `the headers of the 402 take ${headBytes} bytes, and many proxies and clients take 8192`,
    'Accept fewer tokens on this route, shorten its description, or add fewer headers on the way.',
  )
}

function judgeStorage({ header }: WebAnswer, refuse: Refuse): Finding | null {
  const said = header('cache-control')
  if (said !== null && /(^|[\s,])no-store($|[\s,])/i.test(said)) return null
  const shown = said === null ? 'is missing' : `says ${JSON.stringify(foreignText(said, 80))}`
  return refuse(
    `Cache-Control ${shown}, so that caches may keep the 402 and its prices`,
    'Let what stands before the gateway pass on its Cache-Control: no-store.',
  )
}

function readHeader(value: string | null): unknown {
  return readJson(value === null ? '' : (decodeBase64Text(value) ?? ''))
}

function readJson(text: string): unknown {
  const parsed = parseStrictJson(text, DEPTH_MAX)
  return parsed.kind === 'json' ? parsed.value : undefined
}

type Requirements = z.output<typeof PaymentRequiredV2Schema>['accepts'][number]

const MEMBERS = ['scheme', 'amount', 'payTo', 'maxTimeoutSeconds', 'extra'] as const

interface Told {
  readonly url: string
  readonly v2: readonly Requirements[]
  readonly v1: readonly object[]
}

/** Against what the gateway writes for this very route: by its own code, not by another. */
function judgeOffers(told: Told, { route, url }: Expected, refuse: Refuse): Finding[] {
  const { key, identifierRequired } = route
  // Only offers are compared: what is sponsored hangs on the facilitator.
  const challenged = { key, identifierRequired, gasSponsoring: [], cache: new Map() }
  const offers = offersOf(route).map(offer => withToldWallet(offer, told.v2))
  const challenge = createChallenge(challenged, offers, resourceOf(route))
  const ours = challenge.answer(told.url, NOT_PAID)
  const v2 = PaymentRequiredV2Schema.parse(readHeader(ours.paymentRequired)).accepts
  const v1 = PaymentRequiredV1Schema.parse(readJson(ours.body.toString())).accepts
  const findings: Finding[] = []
  const differences = compare(told.v2, v2)
  if (differences.length === 0 && !isDeepStrictEqual(told.v1, v1)) {
    differences.push('those of version 1')
  }
  if (differences.length > 0) {
    findings.push(
      refuse(
        `the offers are not those of the file (${differences.join(', ')})`,
        'Reload the gateway, and see whether a facilitator takes every offer.',
      ),
    )
  }
  if (told.url !== url) {
    const shown = JSON.stringify(foreignText(told.url, 120))
    const message = `resource.url is ${shown}, and buyers ask for ${url}`
    findings.push(refuse(message, 'Set server.publicUrl to the URL that buyers use.'))
  }
  return findings
}

/** The contract of Circle's wallet is in no file: its facilitator names it. */
function withToldWallet(offer: Offer, told: readonly Requirements[]): Offer {
  const { requirements } = offer
  if (!isGatewayWallet(requirements.extra)) return offer
  const same = told.find(one => isSameOffer(one, requirements))
  const verifyingContract = gatewayWalletOf(same?.extra ?? undefined)
  if (verifyingContract === null) return offer
  const extra = { ...requirements.extra, verifyingContract }
  return { ...offer, requirements: { ...requirements, extra } }
}

interface Identity {
  readonly network: string
  readonly asset: string
  readonly extra?: Offer['requirements']['extra'] | null | undefined
}

function isSameOffer(one: Identity, other: Identity): boolean {
  const isSameToken = one.network === other.network && one.asset === other.asset
  return isSameToken && isSameWallet(one.extra ?? undefined, other.extra ?? undefined)
}

/** What differs, in a few words for each of the file's offers. What was told is safe to show. */
function compare(told: readonly Requirements[], ours: readonly Requirements[]): string[] {
  if (isDeepStrictEqual(told, ours)) return []
  const differences = ours.flatMap(offer => {
    const same = told.find(one => isSameOffer(one, offer))
    return same === undefined ? [`none on ${offer.network}`] : membersThatDiffer(same, offer)
  })
  if (told.length > ours.length)
    differences.push(`${told.length} where the file has ${ours.length}`)
  return differences.length === 0 ? ['another order'] : differences
}

function membersThatDiffer(told: Requirements, ours: Requirements): string[] {
  return MEMBERS.filter(name => !isDeepStrictEqual(told[name], ours[name])).map(name => {
    const [theirs = '', own = ''] = [told[name], ours[name]].map(value => JSON.stringify(value))
    return `${name} ${foreignText(theirs, 80)}, not ${own}`
  })
}
