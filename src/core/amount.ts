/** A token amount in atomic units (USDC: millionths of a dollar). Never a float, never negative. */
export type AtomicAmount = bigint & { readonly __unit: 'atomic' }

export type ParsedAmount =
  | { readonly kind: 'amount'; readonly atomic: AtomicAmount }
  /** Not a plain decimal number. */
  | { readonly kind: 'not-a-decimal' }
  /**
   * More digits after the point than the token carries. Refused, because rounding could make it
   * free.
   */
  | { readonly kind: 'too-precise' }

const PLAIN_DECIMAL = /^(\d{1,30})(?:\.(\d{1,36}))?$/

/**
 * Turns a decimal as written in the configuration into what goes on the wire.
 *
 * @param text     Whole tokens, as a plain decimal string ("0.0015" = 0.0015 USDC).
 * @param decimals Digits after the point that the token carries (USDC: 6).
 * @returns        Atomic units ("0.0015" at 6 decimals = 1500n), or why there are none.
 */
export function parseAmount(text: string, decimals: number): ParsedAmount {
  const match = PLAIN_DECIMAL.exec(text)
  if (match === null) return { kind: 'not-a-decimal' }
  const [, whole = '', fraction = ''] = match
  const significant = fraction.replace(/0+$/, '')
  if (significant.length > decimals) return { kind: 'too-precise' }
  return { kind: 'amount', atomic: atomicAmount(BigInt(whole + significant.padEnd(decimals, '0'))) }
}

/** Marks a bigint as atomic units. Throws on a negative one: no payment is negative. */
export function atomicAmount(units: bigint): AtomicAmount {
  if (units < 0n) throw new RangeError(`A token amount cannot be negative: ${units}`)
  return units as AtomicAmount // the brand's only source
}

/** Whole tokens as a plain decimal without trailing zeros (1500n at 6 decimals = "0.0015"). */
export function formatAmount(atomic: bigint, decimals: number): string {
  const digits = atomic.toString().padStart(decimals + 1, '0')
  const whole = digits.slice(0, digits.length - decimals)
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
