import fc from 'fast-check'

export interface Ask {
  readonly kind: 'claim' | 'recall'
  readonly key: string
  readonly fingerprint: string
  readonly identifier: string | null
  readonly next: 'forwarded' | 'settling'
  readonly holdMs: number
  readonly redeemableMs: number
  /** How long the authorization is good for from now on. */
  readonly validSeconds: number
}

export interface StepOf {
  readonly kind: 'settling' | 'settled' | 'unknown' | 'kept' | 'delivered' | 'end' | 'release'
  /** Which of the ids that were ever handed out. */
  readonly pick: number
}

export interface Resolve {
  readonly kind: 'take'
  readonly limit: number
  readonly holdMs: number
}

export interface Extend {
  readonly kind: 'extend'
  /** Which of the ids that were ever handed out. */
  readonly picks: readonly number[]
  readonly holdMs: number
}

export interface Prune {
  readonly kind: 'prune'
  /** Before now. */
  readonly ageMs: number
}

export interface Abandon {
  readonly kind: 'abandon'
}

export interface Advance {
  readonly kind: 'advance'
  readonly ms: number
}

export type Command = Ask | StepOf | Resolve | Extend | Prune | Abandon | Advance

const HOLDS_MS = [0, 10, 20]
/** Beyond every hold and entitlement, and long enough for an authorization to be forgotten. */
export const LONG_MS = 10_000_000
const FOREVER_SECONDS = 1_000_000_000

/** How long a response is kept: as long as a hold, so that either may end first. */
export const KEPT_MS = 12

/** Histories of three payments, on each of which everything may happen. */
export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: asking() },
    { weight: 12, arbitrary: stepping() },
    { weight: 2, arbitrary: resolving() },
    { weight: 2, arbitrary: extending() },
    { weight: 2, arbitrary: pruning() },
    { weight: 1, arbitrary: fc.constant<Abandon>({ kind: 'abandon' }) },
    { weight: 5, arbitrary: advancing() },
  ),
  { minLength: 1, maxLength: 40 },
)

function asking(): fc.Arbitrary<Ask> {
  return fc.record({
    kind: fc.constantFrom('claim' as const, 'claim' as const, 'recall' as const),
    key: fc.constantFrom('k1', 'k2', 'k3'),
    fingerprint: fc.constantFrom('f1', 'f1.wallet', 'f2'),
    identifier: fc.constantFrom(null, null, 'i1', 'i2'),
    next: fc.constantFrom('forwarded' as const, 'settling' as const),
    holdMs: fc.constantFrom(...HOLDS_MS),
    redeemableMs: fc.constantFrom(15, LONG_MS),
    validSeconds: fc.constantFrom(1, 1, 1, FOREVER_SECONDS),
  })
}

function stepping(): fc.Arbitrary<StepOf> {
  return fc.record({
    kind: fc.constantFrom(
      ...(['settling', 'settled', 'unknown', 'kept', 'delivered', 'end', 'release'] as const),
    ),
    pick: fc.nat(3),
  })
}

function resolving(): fc.Arbitrary<Resolve> {
  return fc.record({
    kind: fc.constant('take' as const),
    limit: fc.constantFrom(1, 2, 1000),
    holdMs: fc.constantFrom(...HOLDS_MS),
  })
}

function extending(): fc.Arbitrary<Extend> {
  return fc.record({
    kind: fc.constant('extend' as const),
    picks: fc.array(fc.nat(4), { maxLength: 3 }),
    holdMs: fc.constantFrom(...HOLDS_MS),
  })
}

function pruning(): fc.Arbitrary<Prune> {
  return fc.record({
    kind: fc.constant('prune' as const),
    ageMs: fc.constantFrom(0, 5, LONG_MS),
  })
}

function advancing(): fc.Arbitrary<Advance> {
  const ms = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(1, 10) },
    { weight: 1, arbitrary: fc.constantFrom(LONG_MS, 2 * LONG_MS) },
  )
  return fc.record({ kind: fc.constant('advance' as const), ms })
}
