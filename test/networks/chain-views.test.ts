import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChainView, NonceUse } from '../../src/networks/chain-reader.ts'
import { mostTelling } from '../../src/networks/chain-views.ts'

const uses: readonly (NonceUse | null)[] = [
  { kind: 'transfer', transaction: `0x${'ab'.repeat(32)}`, block: 7n },
  { kind: 'unproven' },
  { kind: 'voided', how: 'cancelled', block: 7n },
  null,
]

const views = fc.array(
  fc.record({ use: fc.constantFrom(...uses), number: fc.bigInt({ min: 10n, max: 20n }) }).map(
    ({ use, number }): ChainView => ({
      latest: { number, timestamp: Number(number) },
      final: { number: 5n, timestamp: 5 },
      use,
    }),
  ),
  { maxLength: 5 },
)

test('no order of the nodes changes what they say together', () => {
  fc.assert(
    fc.property(views, said => {
      const best = mostTelling(said)
      expect(mostTelling(said.toReversed())).toEqual(best)
      expect(best === null).toBe(said.length === 0)
      if (best === null) return
      const strongest = uses.find(use => said.some(view => view.use === use))
      expect(best.use).toBe(strongest)
      const alike = said.filter(({ use }) => use === best.use).map(({ latest }) => latest.number)
      expect(alike.every(number => number <= best.latest.number)).toBe(true)
    }),
  )
})
