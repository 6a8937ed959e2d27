import { parseAmount } from '../core/amount.ts'
import type { AssetAmount, PricedAsset } from './price.ts'

/** Whether text is a plain decimal, whatever a token can carry. */
export function isPlainDecimal(text: string): boolean {
  return parseAmount(text, DECIMALS_MAX).kind === 'amount'
}

export function isZero(decimal: string): boolean {
  return !/[1-9]/.test(decimal)
}

/** More than any token has, so that only the form is judged. */
const DECIMALS_MAX = 36

/**
 * Whole tokens in atomic units. A decimal finer than the token is refused, never rounded: it could
 * round to nothing.
 */
export function amountOf(decimal: string, asset: PricedAsset): AssetAmount {
  const parsed = parseAmount(decimal, asset.decimals)
  if (parsed.kind === 'amount') return parsed
  return {
    kind: 'refused',
    message: `is finer than ${asset.symbol} can carry`,
    cure: `Write at most ${asset.decimals} digits after the point.`,
  }
}

export const ZERO_PRICE = {
  kind: 'refused',
  message: 'is a price of zero',
  cure: 'Write free where nobody should pay.',
} as const
