import { amountOf, isPlainDecimal, isZero, ZERO_PRICE } from './decimal.ts'
import type { AssetAmount, PricedAsset, PriceKind } from './price.ts'

/** `$0.001`: US dollars, paid in any token that the registry marks as dollar-pegged. */
export const dollarPrice: PriceKind = {
  example: '$0.001',
  read(written) {
    if (typeof written !== 'string') return null
    if (!written.startsWith('$')) return refuseBareNumber(written)
    const dollars = written.slice(1)
    if (!isPlainDecimal(dollars)) {
      const cure = 'Write a plain decimal after the dollar sign, like $0.001.'
      return { kind: 'refused', message: 'is not a price in dollars', cure }
    }
    if (isZero(dollars)) return ZERO_PRICE
    return { kind: 'paid', symbols: null, amountIn: asset => amountIn(dollars, asset) }
  },
}

function amountIn(dollars: string, asset: PricedAsset): AssetAmount {
  if (asset.dollarPegged) return amountOf(dollars, asset)
  return {
    kind: 'refused',
    message: `is in dollars, and ${asset.symbol} is not pegged to the dollar`,
    cure: `Write the amount in tokens: price: {${asset.symbol}: "1.5"}.`,
  }
}

/** A number without a unit: what it means depends on who reads it, so nobody guesses. */
function refuseBareNumber(written: string) {
  if (!isPlainDecimal(written)) return null
  if (isZero(written)) return ZERO_PRICE
  const cure = `Write $${written} for US dollars.`
  return { kind: 'refused', message: 'has no currency', cure } as const
}
