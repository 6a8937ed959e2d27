import { amountOf, isPlainDecimal, isZero, ZERO_PRICE } from './decimal.ts'
import type { AssetAmount, PricedAsset, PriceKind } from './price.ts'

/** `{USDC: "0.001", EURC: "0.0009"}`: whole tokens, for each token that is accepted. */
export const assetAmountsPrice: PriceKind = {
  example: '{USDC: "0.001"}',
  read(written) {
    if (typeof written === 'string') return null
    const amounts = new Map(Object.entries(written))
    if (amounts.size === 0) {
      return { kind: 'refused', message: 'names no token', cure: 'Write {USDC: "0.001"}.' }
    }
    for (const [symbol, decimal] of amounts) {
      if (!isPlainDecimal(decimal)) {
        const cure = `Write whole tokens as a plain decimal, like {${symbol}: "0.001"}.`
        return { kind: 'refused', message: `has no plain amount for ${symbol}`, cure }
      }
      if (isZero(decimal)) return ZERO_PRICE
    }
    const symbols = [...amounts.keys()]
    return { kind: 'paid', symbols, amountIn: asset => amountIn(amounts, asset) }
  },
}

function amountIn(amounts: ReadonlyMap<string, string>, asset: PricedAsset): AssetAmount {
  const decimal = amounts.get(asset.symbol)
  if (decimal !== undefined) return amountOf(decimal, asset)
  return {
    kind: 'refused',
    message: `does not say what to pay in ${asset.symbol}, which is accepted here`,
    cure: `Add ${asset.symbol} to the price, or accept only what the price names.`,
  }
}
