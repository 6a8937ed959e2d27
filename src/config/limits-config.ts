/** So many in so much time. */
export interface RateConfig {
  readonly requests: number
  readonly perMs: number
}

/** Whose requests are counted together. */
export type RateLimitSubject = 'address' | 'payer' | 'route'

export interface RateLimitConfig extends RateConfig {
  readonly by: RateLimitSubject
  /** Key of the route whose requests alone are counted; null: all that the default is for. */
  readonly route: string | null
}

/** What those may cost who do not pay. */
export interface LimitsConfig {
  /** 402 answers to one address; null: any number. */
  readonly unpaid: RateConfig | null
  readonly verify: VerifyLimits
}

export interface VerifyLimits {
  /**
   * Payments that we look into ourselves, of payers that have not paid here lately; and as many of
   * payers that have, from addresses that they have not paid from, and beside junk from where they
   * have. Of each process.
   */
  readonly strangers: RateConfig
  /** Refused payments of payers that have not paid here lately, of all of them together. */
  readonly newcomers: RateConfig
  /** Payments whose signature only the chain can check, all of them together. */
  readonly smartWallets: RateConfig
  /** Refused payments of one payer or one address. */
  readonly refused: RateConfig
  /** Verifications at once for one payer. */
  readonly payerMax: number
  /** Verifications at once for those payers of one address that have not paid here lately. */
  readonly addressMax: number
}
