import type { Fingerprint, Payment } from '../core/payment.ts'
import { unixMs } from '../core/time.ts'
import type { ClaimRequest } from '../ledger/ledger.ts'
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

/** What the ledger has to know to tell whether a payment was claimed before. */
export function recallRequest({
  visit,
  route,
  payment,
  fingerprint,
}: Purchase): Pick<ClaimRequest, 'key' | 'fingerprint' | 'heldUntil' | 'redeemableMs'> {
  const workMsMax = route.timeoutMs + visit.snapshot.settleMsMax
  const heldUntil = unixMs(visit.house.clock() + workMsMax + HOLD_MARGIN_MS)
  const { redeemableMs } = visit.config.store
  return { key: payment.key, fingerprint, heldUntil, redeemableMs }
}

/** Made where it is used: what is held is held from then on, and verifying takes its time. */
export function claimRequest(purchase: Purchase): ClaimRequest {
  const { route, payment } = purchase
  const { requirements, amount } = payment.offer
  return {
    ...recallRequest(purchase),
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
