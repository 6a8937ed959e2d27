import type { Network } from '../networks/registry.ts'
import type { ListenAddress, LocalFacilitatorConfig, StoreConfig } from './gateway-config.ts'

/** What `farebox facilitator` runs on: defaults filled in, secrets resolved, names looked up. */
export interface FacilitatorServiceConfig {
  readonly listen: ListenAddress
  /** Null where the operator switched the admin listener off. */
  readonly admin: ListenAddress | null
  readonly local: LocalFacilitatorConfig
  /** Never empty; no two have the same name or key. */
  readonly keys: readonly CallerKeyConfig[]
  /** Every network that may be named, with what the operator says of it. */
  readonly networks: readonly Network[]
  readonly store: StoreConfig
}

/** A bearer key, and what whoever has it may ask for. */
export interface CallerKeyConfig {
  readonly name: string
  /** SHA-256 of the key, 64 hex digits in lower case. */
  readonly sha256: string
  readonly perMinute: number
  /** Requests at once. */
  readonly concurrency: number
  /**
   * Most that a payment may move, in atomic units, by `amountName` of its token. Others are not
   * taken. Null: there is no such limit.
   */
  readonly amountsMax: ReadonlyMap<string, bigint> | null
}

/** What a token is called in `amountsMax`. */
export function amountName(network: string, asset: string): string {
  return `${network}/${asset.toLowerCase()}`
}
