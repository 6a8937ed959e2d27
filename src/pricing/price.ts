import type { AtomicAmount } from '../core/amount.ts'
import { assetAmountsPrice } from './asset-amounts.ts'
import { dollarPrice } from './dollar.ts'
import { freePrice } from './free.ts'

/** A price as the YAML writes it: text, or a map of texts. */
export type WrittenPrice = string | Readonly<Record<string, string>>

/** What a price needs to know of a token. */
export interface PricedAsset {
  readonly symbol: string
  readonly decimals: number
  readonly dollarPegged: boolean
}

/** Why a price cannot be, and what to write instead. Neither repeats a value. */
export interface PriceRefusal {
  readonly kind: 'refused'
  readonly message: string
  readonly cure: string
}

export type AssetAmount = { readonly kind: 'amount'; readonly atomic: AtomicAmount } | PriceRefusal

export type Price =
  | { readonly kind: 'free' }
  | {
      readonly kind: 'paid'
      /** What one request costs in this token. */
      amountIn(asset: PricedAsset): AssetAmount
      /** Symbols that the price names; null: it names none, and holds for every token. */
      readonly symbols: readonly string[] | null
    }

/** One way of writing a price. */
export interface PriceKind {
  /** How it is written, for messages. */
  readonly example: string
  /** Null: this is not how my kind of price is written. */
  read(written: WrittenPrice): Price | PriceRefusal | null
}

/** A new kind of price is one file and one line here. */
const PRICE_KINDS: readonly PriceKind[] = [freePrice, dollarPrice, assetAmountsPrice]

/** Understands a price, or says why it is none. */
export function readPrice(written: WrittenPrice): Price | PriceRefusal {
  for (const kind of PRICE_KINDS) {
    const price = kind.read(written)
    if (price !== null) return price
  }
  const examples = PRICE_KINDS.map(kind => kind.example).join(', or ')
  return { kind: 'refused', message: 'is not a price', cure: `Write ${examples}.` }
}
