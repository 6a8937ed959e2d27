import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { formatAmount } from '../../core/amount.ts'
import { decodeBase64Text } from '../../x402/base64.ts'
import { parseStrictJson } from '../../x402/strict-json.ts'
import type { ChosenOffer } from './choose-offer.ts'
import { headerValue } from './http.ts'

/** What the server says became of the payment (x402 specification, SettlementResponse). */
export interface ReportedSettlement {
  readonly success: boolean
  /** Transaction hash; null when the server names none. */
  readonly transaction: string | null
  readonly payer: string | null
  /** Foreign text. */
  readonly errorReason: string | null
}

/** What `farebox pay` prints and writes: flat, so that `jq .transaction` finds it. */
export interface PrintedReceipt {
  /** Null when the server reported no settlement. */
  readonly transaction: string | null
  /** CAIP-2. */
  readonly network: string
  readonly payer: string
  readonly payTo: string
  readonly asset: string
  /** Atomic units, decimal digits. */
  readonly amount: string
  /** Whole tokens; null for a token that is not known here. */
  readonly price: string | null
  readonly symbol: string | null
  readonly url: string
  readonly x402Version: 1 | 2
}

const DEPTH_MAX = 32

const printable = z.string().regex(/^[\x21-\x7e]{1,200}$/)
const settlement = z.object({
  success: z.boolean(),
  transaction: printable.nullish().catch(null),
  payer: printable.nullish().catch(null),
  errorReason: z.string().nullish().catch(null),
})

/** Reads PAYMENT-RESPONSE (v2) or X-PAYMENT-RESPONSE (v1). Null when there is no legible one. */
export function readSettlement(headers: IncomingHttpHeaders): ReportedSettlement | null {
  const header =
    headerValue(headers, 'payment-response') ?? headerValue(headers, 'x-payment-response')
  const json = header === null ? null : decodeBase64Text(header)
  if (json === null) return null
  const parsed = parseStrictJson(json, DEPTH_MAX)
  if (parsed.kind === 'flawed') return null
  const checked = settlement.safeParse(parsed.value)
  if (!checked.success) return null
  const { success, transaction, payer, errorReason } = checked.data
  return {
    success,
    transaction: transaction ?? null,
    payer: payer ?? null,
    errorReason: errorReason ?? null,
  }
}

export interface Purchase {
  readonly url: URL
  readonly version: 1 | 2
  readonly chosen: ChosenOffer
  /** Address of the key that signed. */
  readonly payer: string
}

export function receiptOf(
  purchase: Purchase,
  settlement: ReportedSettlement | null,
): PrintedReceipt {
  const { offer, token } = purchase.chosen
  return {
    transaction: settlement?.transaction ?? null,
    network: offer.networkId,
    payer: settlement?.payer ?? purchase.payer,
    payTo: offer.payTo,
    asset: offer.asset,
    amount: offer.amount.toString(),
    price: token === null ? null : formatAmount(offer.amount, token.decimals),
    symbol: token?.symbol ?? null,
    url: purchase.url.href,
    x402Version: purchase.version,
  }
}
