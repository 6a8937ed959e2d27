import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import {
  clockAnswer,
  genesisAnswer,
  signaturesAnswer,
  transactionAnswer,
  validityAnswer,
} from '../../src/networks/solana-wire.ts'

const schemas: readonly (readonly [string, z.ZodType])[] = [
  ['genesis hash', genesisAnswer],
  ['clock', clockAnswer],
  ['validity', validityAnswer],
  ['signatures', signaturesAnswer],
  ['transaction', transactionAnswer],
]

const base64 = fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes).toString('base64'))
const leaf = fc.oneof(fc.jsonValue(), base64, fc.double(), fc.bigInt().map(String))
/** What is near to an answer, and what is nothing like one. */
const answer = fc.oneof(
  fc.jsonValue(),
  fc.record({
    context: fc.record({ slot: leaf }),
    value: fc.record({ data: fc.tuple(leaf, fc.constantFrom('base64', 'base58')) }),
  }),
  fc.record({
    slot: leaf,
    transaction: fc.tuple(leaf, fc.constant('base64')),
    meta: fc.record({ err: leaf }),
  }),
  fc.array(fc.record({ signature: leaf, blockTime: leaf }), { maxLength: 3 }),
)

test.each(schemas)('whatever a node says, the %s is read or refused', (_, schema) => {
  fc.assert(
    fc.property(answer, said => {
      expect(() => schema.safeParse(said)).not.toThrow()
    }),
    { numRuns: 200 },
  )
})

test('a clock that is read has whole seconds and a slot', () => {
  const bytes = fc.uint8Array({ minLength: 38, maxLength: 42 })
  fc.assert(
    fc.property(bytes, fc.nat(), (clock, slot) => {
      const data = [Buffer.from(clock).toString('base64'), 'base64']
      const read = clockAnswer.safeParse({ context: { slot }, value: { data } })
      const seconds = clock.length === 40 ? Buffer.from(clock).readBigInt64LE(32) : null
      const isSafe = seconds !== null && Number.isSafeInteger(Number(seconds))
      expect(read.success).toBe(isSafe)
      if (read.success)
        expect(read.data).toEqual({ number: BigInt(slot), timestamp: Number(seconds) })
    }),
  )
})
