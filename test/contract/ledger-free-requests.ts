import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { movableClock } from '../ledger/claim-fixtures.ts'
import type { LedgerUnderTest } from './ledger-states.ts'
import { openTwo } from './two-ledgers.ts'

const HOUR_MS = 3_600_000

/** What every ledger must do with requests that are free. */
export function describeFreeRequests(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): void {
  describe(`free requests in ${name}`, () => {
    let time = movableClock()
    let ledger: Ledger
    let other: Ledger

    beforeEach(async () => {
      ;({ time, ledger, other } = await openTwo('free', open))
    })
    afterEach(() => Promise.all([ledger.close(), other.close()]))

    function take(from: Ledger, name = 'one', requests = 3, until = time.clock() + HOUR_MS) {
      return from.takeFreeRequest({ name, until: unixMs(until), requests })
    }

    it('counts down, and then there is none', async () => {
      const taken = [await take(ledger), await take(other), await take(ledger), await take(other)]
      expect(taken).toEqual([2, 1, 0, null])
      expect(await take(ledger)).toBeNull()
    })

    it('gives never more than there are, however many ask at the same time', async () => {
      const lineUp = Array.from({ length: 100 }, (_, index) =>
        take(index % 2 === 0 ? ledger : other, 'one', 40),
      )
      const taken = (await Promise.all(lineUp)).filter(left => left !== null)
      expect(taken.sort((one, next) => one - next)).toEqual(Array.from({ length: 40 }, (_, n) => n))
    })

    it('keeps clients apart, and periods', async () => {
      const until = time.clock() + HOUR_MS
      expect(await take(ledger, 'one', 1, until)).toBe(0)
      expect(await take(ledger, 'another', 1, until)).toBe(0)
      expect(await take(ledger, 'one', 1, until + HOUR_MS)).toBe(0)
      expect(await take(ledger, 'one', 1, until)).toBeNull()
    })

    it('goes by the number that is asked with, which a reload may change', async () => {
      await take(ledger, 'one', 5)
      await take(ledger, 'one', 5)
      expect(await take(ledger, 'one', 2)).toBeNull()
      expect(await take(ledger, 'one', 4)).toBe(1)
    })

    it('takes names with whatever a client can put into them', async () => {
      const names = ['ä \u{1F600}', '\0', "'; DROP TABLE free_requests", 'x'.repeat(4096)]
      const taken = await Promise.all(names.map(name => take(ledger, name, 1)))
      expect(taken).toEqual(names.map(() => 0))
    })

    it('forgets periods an hour after they ended, so that late clocks begin none anew', async () => {
      const until = time.clock() + HOUR_MS
      await take(ledger, 'one', 1, until)
      await take(ledger, 'another', 1, until)
      await take(ledger, 'later', 1, until + 1)
      time.advance(2 * HOUR_MS - 1)
      expect(await ledger.pruneFreeRequests({ limit: 1000 })).toBe(0)
      expect(await take(other, 'one', 1, until)).toBeNull()
      time.advance(1)
      expect(await ledger.pruneFreeRequests({ limit: 1 })).toBe(1)
      expect(await ledger.pruneFreeRequests({ limit: 1000 })).toBe(1)
      expect(await ledger.pruneFreeRequests({ limit: 1000 })).toBe(0)
      expect(await take(ledger, 'later', 1, until + 1)).toBeNull()
      await expect(ledger.pruneFreeRequests({ limit: 0 })).rejects.toThrow('limit of 0')
    })

    it('shows them in no report', async () => {
      await take(ledger)
      expect(await ledger.list({ limit: 10 })).toEqual([])
      expect(Object.values(await ledger.countByState())).toEqual([0, 0, 0, 0, 0, 0])
    })
  })
}
