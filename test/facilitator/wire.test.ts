import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readSettleAnswer, readSupported, readVerifyAnswer } from '../../src/facilitator/wire.ts'

const awkward = fc.constantFrom<unknown>(true, false, null, 0, 1, '', 'true', 'exact', [], {})
const answer = fc.record(
  {
    isValid: fc.oneof(fc.boolean(), awkward),
    success: fc.oneof(fc.boolean(), awkward),
    transaction: fc.oneof(fc.string(), awkward),
    errorReason: awkward,
    invalidReason: awkward,
    payer: awkward,
    kinds: fc.oneof(
      awkward,
      fc.array(fc.record({ x402Version: awkward, scheme: awkward, network: awkward })),
    ),
    extensions: awkward,
    signers: awkward,
  },
  { requiredKeys: [] },
)

test('of any JSON, only true booleans are verdicts, and reading it never throws', () => {
  let verdicts = 0
  fc.assert(
    fc.property(fc.oneof(answer, fc.jsonValue()), json => {
      const given = Object(json)
      const verified = readVerifyAnswer(json)
      const settled = readSettleAnswer(json, 'eip155:1')
      if (verified !== null) expect(verified.isValid).toBe(given.isValid)
      if (settled !== null) {
        verdicts += 1
        expect(settled.success).toBe(given.success)
        expect(settled.transaction).toBe(given.transaction ?? '')
      }
      if (typeof given.isValid !== 'boolean') expect(verified).toBeNull()
      if (typeof given.success !== 'boolean') expect(settled).toBeNull()
      expect(Array.isArray(readSupported(json)?.kinds ?? [])).toBe(true)
    }),
    { numRuns: 3_000 },
  )
  expect(verdicts).toBeGreaterThan(100)
})

test('the network of a settlement is ours, whatever the service calls it', () => {
  const json = { success: true, transaction: '0x1', network: 'base' }
  expect(readSettleAnswer(json, 'eip155:8453')?.network).toBe('eip155:8453')
})
