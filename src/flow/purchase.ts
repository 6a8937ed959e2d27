import type { AtomicAmount } from '../core/amount.ts'
import type { Fingerprint, Payment, PaymentKey, Receipt } from '../core/payment.ts'
import { unixMs } from '../core/time.ts'
import type { ClaimRequest, RecallRequest } from '../ledger/ledger.ts'
import type { X402Version } from '../x402/decode-payment.ts'
import type { ReadBody } from './exchange.ts'
import { fingerprintRequest } from './fingerprint.ts'
import type { Visit } from './house.ts'
import type { Route } from './route.ts'

/** A request that brought a payment worth checking, and what the payment would be spent on. */
export interface Purchase {
  readonly visit: Visit
  readonly route: Route
  /** Canonical path and query. */
  readonly target: string
  readonly payment: Payment
  /** How the client speaks, to answer it in kind. */
  readonly version: X402Version
  readonly body: ReadBody
  readonly fingerprint: Fingerprint
}

/** What the upstream hears of a payment: of the one that was settled, if it was another one. */
export interface Bought {
  readonly key: PaymentKey
  readonly amount: AtomicAmount
  readonly decimals: number
  readonly symbol: string
}

/**
 * Bodies up to this long are part of what a payment is spent on; longer ones by their length only.
 */
const DIGESTED_BODY_BYTES_MAX = 64 * 1024

/**
 * What a chain and a facilitator need between a settle's start and its block (@x402/evm asks for
 * 6).
 */
const SETTLE_MARGIN_SECONDS = 6

/** How long a crashed process's claim stays held beyond the longest it could have worked. */
const HOLD_MARGIN_MS = 30_000

export async function toPurchase(
  visit: Visit,
  parts: {
    readonly route: Route
    readonly target: string
    readonly payment: Payment
    readonly decoded: { readonly version: X402Version }
  },
): Promise<Purchase> {
  const { route, target, payment, decoded } = parts
  const { exchange } = visit
  const body = await exchange.readBody(DIGESTED_BODY_BYTES_MAX)
  const request = { method: exchange.method, origin: exchange.origin, target }
  const fingerprint = fingerprintRequest(request, route.key, { payment, body })
  return { visit, route, target, payment, version: decoded.version, body, fingerprint }
}

/**
 * What a payment is held against: the resource it is for, and the time it must still be good for.
 */
export function circumstancesOf(
  visit: Visit,
  route: Route,
  path: string,
): {
  readonly resourceUrl: string
  readonly nowSeconds: number
  readonly headroomSeconds: number
} {
  const upstreamSeconds = route.settle === 'on-response' ? Math.ceil(route.timeoutMs / 1000) : 0
  return {
    resourceUrl: visit.exchange.origin + path,
    nowSeconds: Math.floor(visit.startedAt / 1000),
    headroomSeconds: upstreamSeconds + SETTLE_MARGIN_SECONDS,
  }
}

/** Without the query. */
export function pathOf({ target }: Purchase): string {
  return target.split('?', 1)[0] ?? target
}

export function boughtBy({ key, offer }: Payment): Bought {
  const { amount, decimals, symbol } = offer
  return { key, amount, decimals, symbol }
}

/** What was taken, where a payment is redeemed: the price may be another by now. */
export function boughtEarlier(
  { visit, payment }: Purchase,
  settled: { readonly key: PaymentKey; readonly asset: string; readonly receipt: Receipt },
): Bought {
  const { key, asset, receipt } = settled
  const { amount, network } = receipt
  if (key === payment.key) return { ...boughtBy(payment), amount }
  const { assets = [] } = visit.config.networks.find(({ id }) => id === network) ?? {}
  const token = assets.find(({ address }) => address.toLowerCase() === asset.toLowerCase())
  const { decimals, symbol } = token ?? { decimals: 0, symbol: asset }
  return { key, amount, decimals, symbol }
}

/**
 * What the ledger has to know to tell whether a payment was claimed before. Its identifier counts
 * only where nobody but the payer can have made the payment, and lately: an old one may have been
 * seen by anybody, on the chain.
 */
export function recallRequest(
  { visit, route, payment, fingerprint }: Purchase,
  check: 'passed' | 'stale',
): RecallRequest {
  const workMsMax = route.timeoutMs + visit.snapshot.settleMsMax
  const heldUntil = unixMs(visit.house.clock() + workMsMax + HOLD_MARGIN_MS)
  const { redeemableMs } = visit.config.store
  const { key, payer } = payment
  const isPayers = check === 'passed' && payment.signature === 'recovered'
  const identifier = isPayers ? payment.identifier : null
  return { key, payer, identifier, fingerprint, heldUntil, redeemableMs }
}

/** Made where it is used: what is held is held from then on, and verifying takes its time. */
export function claimRequest(purchase: Purchase): ClaimRequest {
  const { route, payment } = purchase
  const { requirements, amount } = payment.offer
  return {
    ...recallRequest(purchase, 'passed'),
    identifier: payment.identifier,
    route: route.key,
    payer: payment.payer,
    network: requirements.network,
    asset: requirements.asset,
    payTo: requirements.payTo,
    amount,
    validBefore: payment.validBefore,
    payload: JSON.stringify(payment.payload),
    requirements: JSON.stringify(requirements),
    next: route.settle === 'before-upstream' ? 'settling' : 'forwarded',
  }
}
