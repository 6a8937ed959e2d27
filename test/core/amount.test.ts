import fc from 'fast-check'
import { expect, test } from 'vitest'
import { atomicAmount, formatAmount, parseAmount } from '../../src/core/amount.ts'

const decimals = fc.integer({ min: 0, max: 36 })

test('any amount comes back from its own spelling', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 30n - 1n), decimals, (units, places) => {
      const parsed = parseAmount(formatAmount(units, places), places)
      expect(parsed).toEqual({ kind: 'amount', atomic: units })
    }),
  )
})

test('zeros after the last digit and before the first change nothing', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 20n), fc.nat(6), fc.nat(6), (units, before, after) => {
      const [whole = '', fraction = ''] = formatAmount(units, 18).split('.')
      const text = `${'0'.repeat(before)}${whole}.${fraction}${'0'.repeat(after + 1)}`
      expect(parseAmount(text, 18)).toEqual({ kind: 'amount', atomic: units })
    }),
  )
})

test('one significant digit more than the token carries is refused, never rounded', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 35 }), fc.integer({ min: 1, max: 9 }), (places, last) => {
      const text = `0.${'0'.repeat(places)}${last}`
      expect(parseAmount(text, places)).toEqual({ kind: 'too-precise' })
      const atomic = BigInt(last)
      expect(parseAmount(text, places + 1)).toEqual({ kind: 'amount', atomic })
    }),
  )
})

test.each([
  ['0.10', 6, 100_000n],
  ['0.1', 6, 100_000n],
  ['1', 0, 1n],
  ['1.000', 0, 1n],
  ['0', 6, 0n],
  ['0.000000', 6, 0n],
  ['007', 2, 700n],
  // What a float would make of these two: 56.99999999999999 and 9007199254740992.
  ['0.57', 2, 57n],
  ['9007199254740993', 0, 9_007_199_254_740_993n],
  // Beyond 2^64 = 18446744073709551616, and beyond what a float tells apart.
  ['18446744073709551617', 18, 18_446_744_073_709_551_617n * 10n ** 18n],
  ['999999999999999999999999999999.999999', 6, 10n ** 36n - 1n],
])('"%s" at %i decimals is %d', (text, places, atomic) => {
  expect(parseAmount(text, places)).toEqual({ kind: 'amount', atomic })
})

test.each([
  ...['', ' ', '.', '.5', '5.', '-1', '+1', '1e3', '0x10', '1,5', '1_000', '$1', 'NaN', 'Infinity'],
  ...['1.2.3', ' 1', '1 ', '1\n', '\u0661', '\uff11', '1'.repeat(31), `0.${'1'.repeat(37)}`],
])('%j is not a plain decimal', text => {
  expect(parseAmount(text, 6)).toEqual({ kind: 'not-a-decimal' })
})

test.each([
  [1_500n, 6, '0.0015'],
  [1_000_000n, 6, '1'],
  [0n, 6, '0'],
  [7n, 0, '7'],
  [10n, 0, '10'],
  [2n ** 256n - 1n, 18, `${(2n ** 256n - 1n) / 10n ** 18n}.584007913129639935`],
])('%d at %i decimals reads %s', (units, places, text) => {
  expect(formatAmount(units, places)).toBe(text)
})

test('no amount is negative', () => {
  expect(() => atomicAmount(-1n)).toThrow(RangeError)
  expect(atomicAmount(0n)).toBe(0n)
})
