import { findDefaultAsset } from '@x402/evm'
import type { NetworkId } from '../../core/payment.ts'
import type { NetworkRegistry } from '../../networks/registry.ts'

/** A token that we know. */
export interface KnownToken {
  readonly symbol: string
  /** Digits after the point that the token carries. */
  readonly decimals: number
  /** Whether a limit in dollars can be compared with a price in it. */
  readonly dollarPegged: boolean
}

/** Null for a token that we do not know: a server can call any address a dollar. */
export type TokenLookup = (network: NetworkId, asset: string) => KnownToken | null

/** Looks in config/networks.yaml first, then in the table of dollar-pegged tokens of @x402/evm. */
export function createTokenLookup(registry: NetworkRegistry): TokenLookup {
  return (network, asset) => {
    const address = asset.toLowerCase()
    const listed = registry.find(network)?.assets.find(one => one.address.toLowerCase() === address)
    if (listed !== undefined) return listed
    const found = findDefaultAsset(asset, network)
    if (found === undefined) return null
    return { symbol: found.symbol, decimals: found.decimals, dollarPegged: true }
  }
}
