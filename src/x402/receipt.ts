import type { NetworkId, Receipt } from '../core/payment.ts'
import { encodeBase64Json } from './base64.ts'
import type { X402Version } from './decode-payment.ts'

/**
 * What a settlement header says when money moved, or may have (x402 specification,
 * SettlementResponse).
 */
export type SettlementNotice =
  | { readonly kind: 'settled'; readonly receipt: Receipt }
  | {
      readonly kind: 'not-settled'
      readonly reason: string
      readonly network: NetworkId
      readonly payer: string
      /** Empty when none is known. */
      readonly transaction: string
    }

/**
 * The settlement header in the client's own protocol version.
 *
 * @param v1Network What v1 calls the network; null where it has no name for it.
 * @returns         Header name and value.
 */
export function settlementHeader(
  notice: SettlementNotice,
  version: X402Version,
  v1Network: string | null,
): readonly [name: string, value: string] {
  const object = version === 1 ? inV1(notice, v1Network) : inV2(notice)
  return [version === 1 ? 'X-PAYMENT-RESPONSE' : 'PAYMENT-RESPONSE', encodeBase64Json(object)]
}

function inV2(notice: SettlementNotice): Record<string, unknown> {
  if (notice.kind === 'settled') {
    const { transaction, network, payer, amount } = notice.receipt
    return { success: true, transaction, network, payer, amount: amount.toString() }
  }
  const { reason, transaction, network, payer } = notice
  return { success: false, errorReason: reason, transaction, network, payer }
}

function inV1(notice: SettlementNotice, v1Network: string | null): Record<string, unknown> {
  const { amount: _notInV1, ...object } = inV2(notice)
  return v1Network === null ? object : { ...object, network: v1Network }
}
