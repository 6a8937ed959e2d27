import type { PresentedPayment } from './decode-payment.ts'
import { decodeTransaction } from './solana-transaction.ts'

/** Members of `payload` that name who pays, of scheme exact on EVM. */
const AUTHORIZATIONS = ['authorization', 'permit2Authorization']

/**
 * Who a payment says that it is of, with nothing checked: finding out costs a hundred times as
 * much. Null where it says nothing that could be somebody.
 */
export function claimedPayer({ payload }: Pick<PresentedPayment, 'payload'>): string | null {
  const { transaction } = payload
  if (typeof transaction === 'string') return decodeTransaction(transaction)?.keys[1] ?? null
  for (const name of AUTHORIZATIONS) {
    const authorization = payload[name]
    if (typeof authorization !== 'object' || authorization === null) continue
    const from = 'from' in authorization ? authorization.from : null
    if (typeof from === 'string') return payerName(from)
  }
  return null
}

/** One spelling for each payer: hexadecimal has two cases, and base58 is told apart by them. */
export function payerName(payer: string): string {
  return payer.startsWith('0x') ? payer.toLowerCase() : payer
}
