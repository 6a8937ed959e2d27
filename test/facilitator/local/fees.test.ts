import fc from 'fast-check'
import { expect, test } from 'vitest'
import { proposeFees, raiseFees } from '../../../src/facilitator/local/fees.ts'

const GWEI = 10n ** 9n
const wei = fc.bigInt({ min: 1n, max: 10_000n * GWEI })

test('an offer holds in the next block, is within the cap, and tips no more than it pays', () => {
  fc.assert(
    fc.property(wei, wei, wei, (base, tip, cap) => {
      const fees = proposeFees(base, tip, cap)
      if (fees === null) return base + base / 8n >= cap
      const { maxFeePerGas, maxPriorityFeePerGas } = fees
      return (
        maxFeePerGas <= cap &&
        maxFeePerGas > base + base / 8n &&
        maxPriorityFeePerGas <= maxFeePerGas
      )
    }),
  )
})

test('a replacement raises both numbers by more than an eighth, never over the cap', () => {
  fc.assert(
    fc.property(wei, wei, wei, (maxFeePerGas, tip, cap) => {
      const before = { maxFeePerGas, maxPriorityFeePerGas: tip < maxFeePerGas ? tip : maxFeePerGas }
      const after = raiseFees(before, null, cap)
      if (after === null) return maxFeePerGas + maxFeePerGas / 4n + 1n > cap
      const risen = (one: bigint, other: bigint): boolean => other * 8n > one * 9n
      return (
        after.maxFeePerGas <= cap &&
        risen(before.maxFeePerGas, after.maxFeePerGas) &&
        risen(before.maxPriorityFeePerGas, after.maxPriorityFeePerGas)
      )
    }),
  )
})

test('a replacement follows the market', () => {
  const before = { maxFeePerGas: 2n * GWEI, maxPriorityFeePerGas: GWEI }
  const now = { maxFeePerGas: 9n * GWEI, maxPriorityFeePerGas: 3n * GWEI }
  expect(raiseFees(before, now, 10n * GWEI)).toEqual(now)
})
