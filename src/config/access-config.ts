/** Who need not pay, who may not come in, and what is free for everybody: in one route's words. */
export interface AccessConfig {
  /** Null: nobody but who pays. */
  readonly allow: AllowConfig | null
  /** Null: nobody is turned away. */
  readonly deny: DenyConfig | null
  /** Null: nothing is given away. */
  readonly freeQuota: FreeQuotaConfig | null
}

export interface AllowConfig {
  /** No two have the same name or key. */
  readonly keys: readonly ClientKeyConfig[]
  /** Which header brings a key; in `authorization` it stands after "Bearer". */
  readonly keyHeader: 'authorization' | 'x-api-key'
  readonly jwt: JwtConfig | null
  /** CIDR ranges. */
  readonly networks: readonly string[]
  /** Names in a client's certificate. */
  readonly certificates: readonly string[]
}

export interface ClientKeyConfig {
  readonly name: string
  /** SHA-256 of the key, 64 hex digits in lower case. */
  readonly sha256: string
}

export interface JwtConfig {
  readonly jwks: JwksConfig
  /** What `iss` must be. */
  readonly issuer: string
  /** One of these must be in `aud`; never empty. */
  readonly audiences: readonly string[]
  /** What other claims must be, or must have among their values. */
  readonly claims: ReadonlyMap<string, string>
  /** Whether the upstream gets the token. */
  readonly forward: boolean
}

/** Where the public keys of an issuer are (RFC 7517). */
export type JwksConfig =
  | { readonly kind: 'url'; readonly url: string }
  /** The JSON itself; checked. */
  | { readonly kind: 'inline'; readonly json: string }

export interface DenyConfig {
  /** CIDR ranges. */
  readonly networks: readonly string[]
  /** Names in a client's certificate. */
  readonly certificates: readonly string[]
}

export type QuotaPeriod = 'hour' | 'day' | 'month'

/** So many requests of each client are free in each period, which begins in UTC. */
export interface FreeQuotaConfig {
  readonly requests: number
  readonly per: QuotaPeriod
  readonly by: 'address' | 'payer'
  /** The key of the route that it is for; null: for all that have none of their own, together. */
  readonly route: string | null
}
