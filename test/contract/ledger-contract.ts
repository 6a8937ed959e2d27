import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import { unixMs } from '../../src/core/time.ts'
import { type ClaimId, type ClaimState, claimId, type Ledger } from '../../src/ledger/ledger.ts'
import {
  type ClaimDetails,
  claimed,
  claimedAs,
  claimRequest,
  HOLD_MS,
  movableClock,
  RECEIPT,
  sum,
  tally,
} from '../ledger/claim-fixtures.ts'
import { commands } from '../ledger/ledger-commands.ts'
import { agreesWithModel } from '../ledger/ledger-model.ts'
import { describeFreeRequests } from './ledger-free-requests.ts'
import { describeReplay } from './ledger-replay.ts'
import {
  describeEveryState,
  type LedgerUnderTest,
  OTHER_RECEIPT,
  STEPS,
  type StepName,
} from './ledger-states.ts'
import { describeUpkeep } from './ledger-upkeep.ts'

const CALLERS = 48

/** What every ledger must do. A new store's test is one call of this. */
export function runLedgerContract(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): void {
  describeEveryState(name, open)
  describeUpkeep(name, open)
  describeReplay(name, open)
  describeFreeRequests(name, open)

  describe(`${name} as a ledger`, () => {
    let time = movableClock()
    let ledger: Ledger
    let opened: Ledger[] = []
    let storeNumber = 0

    async function openAgain(): Promise<Ledger> {
      const another = await open({ clock: time.clock, store: `store-${storeNumber}` })
      opened.push(another)
      return another
    }

    function request(details: Partial<ClaimDetails> = {}) {
      return claimRequest({ heldUntil: unixMs(time.clock() + HOLD_MS), ...details })
    }

    async function countsOf(state: ClaimState): Promise<number> {
      return (await ledger.countByState())[state]
    }

    beforeEach(async () => {
      time = movableClock()
      storeNumber += 1
      ledger = await openAgain()
    })

    afterEach(async () => {
      await Promise.all(opened.map(each => each.close()))
      opened = []
    })

    it('lets exactly one of many concurrent claims of one payment through', async () => {
      const other = await openAgain()
      const lineUp = Array.from({ length: CALLERS }, (_, caller) =>
        (caller % 2 === 0 ? ledger : other).claim(request()),
      )
      const kinds = tally(await Promise.all(lineUp))
      expect(kinds).toEqual({ claimed: 1, 'in-progress': CALLERS - 1 })
      expect(await countsOf('forwarded')).toBe(1)
    })

    it('lets exactly one of many different requests have one payment', async () => {
      const lineUp = Array.from({ length: CALLERS }, (_, caller) =>
        ledger.claim(request({ fingerprint: `request ${caller}` })),
      )
      const kinds = tally(await Promise.all(lineUp))
      expect(kinds).toEqual({ claimed: 1, 'other-request': CALLERS - 1 })
    })

    it('lets exactly one of many take over a payment that was let go', async () => {
      await claimedAs('released', ledger, request())
      const lineUp = Array.from({ length: CALLERS }, () => ledger.claim(request()))
      expect(tally(await Promise.all(lineUp))).toEqual({ claimed: 1, 'in-progress': CALLERS - 1 })
    })

    it('lets a late request settle or another take over from it, never both', async () => {
      const other = await openAgain()
      const keys = Array.from({ length: CALLERS }, (_, index) => `key ${index}`)
      const ids = await Promise.all(keys.map(key => claimed(ledger, request({ key }))))
      time.advance(HOLD_MS)
      const races = keys.map(async (key, index) => {
        const late = ledger.markSettling(ids[index] ?? claimId(0))
        const [settling, taken] = await Promise.allSettled([late, other.claim(request({ key }))])
        const tookOver = taken.status === 'fulfilled' && taken.value.kind === 'claimed'
        return settling.status === 'fulfilled' ? !tookOver : tookOver
      })
      expect(await Promise.all(races)).toEqual(keys.map(() => true))
    })

    it('redeems one settled payment once, however many ask at the same time', async () => {
      await ledger.endHold(await claimedAs('settled', ledger, request()))
      const other = await openAgain()
      const lineUp = Array.from({ length: CALLERS }, (_, caller) => {
        const asked = caller % 2 === 0 ? ledger : other
        return caller % 3 === 0 ? asked.recall(request()) : asked.claim(request())
      })
      expect(tally(await Promise.all(lineUp))).toEqual({ entitled: 1, 'in-progress': CALLERS - 1 })
    })

    it('claims different payments independently, under different ids', async () => {
      const keys = Array.from({ length: CALLERS }, (_, index) => `key ${index}`)
      const ids = await Promise.all(keys.map(key => claimed(ledger, request({ key }))))
      expect(new Set(ids).size).toBe(CALLERS)
    })

    it.each(['forwarded', 'settling'] as const)('writes a claim as %s at once', async next => {
      await claimed(ledger, request({ next }))
      expect(await countsOf(next)).toBe(1)
    })

    it('recalls nothing of a payment that was never presented, and writes nothing', async () => {
      expect(await ledger.recall(request())).toEqual({ kind: 'unclaimed' })
      expect(sum(await ledger.countByState())).toBe(0)
    })

    it.each(Object.keys(STEPS) as StepName[])('refuses %s of a claim it never made', async step => {
      const nobody = 4711 as ClaimId // an id that this ledger has not handed out
      await expect(STEPS[step](ledger, nobody)).rejects.toMatchObject({ code: 'ledger_transition' })
    })

    it('refuses every step of a request whose claim was taken over', async () => {
      const late = await claimed(ledger, request())
      time.advance(HOLD_MS)
      const successor = await claimed(ledger, request({ fingerprint: 'other' }))
      expect(successor).not.toBe(late)
      for (const step of Object.values(STEPS)) {
        await expect(step(ledger, late)).rejects.toMatchObject({ code: 'ledger_transition' })
      }
      await ledger.markSettling(successor)
      expect(await countsOf('settling')).toBe(1)
    })

    it('forgets an earlier claim when a payment is taken over', async () => {
      await claimedAs('released', ledger, request({ fingerprint: 'earlier' }))
      const id = await claimed(ledger, request({ fingerprint: 'later', next: 'settling' }))
      await ledger.markSettled(id, RECEIPT)
      await ledger.markDelivered(id)
      expect(await ledger.claim(request({ fingerprint: 'later' }))).toEqual({
        kind: 'used',
        receipt: RECEIPT,
      })
      const { kind } = await ledger.claim(request({ fingerprint: 'earlier' }))
      expect(kind).toBe('other-request')
    })

    it('holds an entitled payment again, and refuses the id that held it before', async () => {
      const first = await claimedAs('settled', ledger, request())
      time.advance(HOLD_MS)
      const outcome = await ledger.claim(request())
      if (outcome.kind !== 'entitled') throw new Error(outcome.kind)
      expect(outcome.receipt).toEqual(RECEIPT)
      expect((await ledger.claim(request())).kind).toBe('in-progress')
      await expect(ledger.endHold(first)).rejects.toMatchObject({ code: 'ledger_transition' })
      await expect(ledger.markDelivered(first)).rejects.toMatchObject({ code: 'ledger_transition' })
      await ledger.markDelivered(outcome.id)
      expect((await ledger.claim(request())).kind).toBe('used')
    })

    it('lets a payment be redeemed at once when its hold is ended', async () => {
      const id = await claimedAs('settled', ledger, request())
      await ledger.endHold(id)
      await ledger.endHold(id)
      expect((await ledger.claim(request())).kind).toBe('entitled')
    })

    it.each(['settled', 'delivered'] as const)('takes one receipt twice when %s', async state => {
      const id = await claimedAs(state, ledger, request())
      await ledger.markSettled(id, RECEIPT)
      expect(await countsOf(state)).toBe(1)
      for (const change of [OTHER_RECEIPT, { ...RECEIPT, amount: atomicAmount(1n) }]) {
        await expect(ledger.markSettled(id, change)).rejects.toMatchObject({
          code: 'ledger_transition',
        })
      }
    })

    it('fails only the call that asked for the impossible, whatever came with it', async () => {
      const id = await claimedAs('delivered', ledger, request({ key: 'spent' }))
      const unstorable = { ...request({ key: 'bad' }), amount: atomicAmount(10n ** 78n) }
      const outcomes = await Promise.allSettled([
        ledger.claim(request({ key: 'before' })),
        ledger.release(id, 'too late'),
        ledger.claim(unstorable),
        ledger.claim(request({ key: 'after' })),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual([
        ...['fulfilled', 'rejected', 'rejected', 'fulfilled'],
      ])
      expect(await countsOf('forwarded')).toBe(2)
    })

    it.each([0n, 2n ** 64n + 1n, 2n ** 256n - 1n])('keeps the amount %s exactly', async units => {
      const amount = atomicAmount(units)
      const id = await claimed(ledger, { ...request({ next: 'settling' }), amount })
      await ledger.markSettled(id, { ...RECEIPT, amount })
      await ledger.markDelivered(id)
      expect(await ledger.claim(request())).toEqual({
        kind: 'used',
        receipt: { ...RECEIPT, amount },
      })
    })

    it('keeps any text and times beyond every calendar', async () => {
      const text = 'quote \' " \\ ; -- \u0000 \u{1F4B6} é'
      const forever = { validBefore: 1e77, heldUntil: unixMs(Number.MAX_VALUE) }
      const asked = { ...request({ fingerprint: text }), ...forever, payload: text, route: text }
      await claimed(ledger, asked)
      time.advance(HOLD_MS * 1_000_000)
      expect((await ledger.claim(asked)).kind).toBe('in-progress')
    })

    it('remembers everything after it was closed and opened again', async () => {
      const held = await claimedAs('forwarded', ledger, request({ key: 'held' }))
      await claimedAs('delivered', ledger, request({ key: 'spent' }))
      await ledger.close()
      ledger = await openAgain()
      expect((await ledger.claim(request({ key: 'held' }))).kind).toBe('in-progress')
      const again = await ledger.claim(request({ key: 'spent' }))
      expect(again).toEqual({ kind: 'used', receipt: RECEIPT })
      await ledger.markSettling(held)
      expect(await countsOf('settling')).toBe(1)
    })

    it('finishes what was asked before it closes, and refuses everything after', async () => {
      const asked = Array.from({ length: CALLERS }, (_, index) =>
        ledger.claim(request({ key: `key ${index}` })),
      )
      const closed = ledger.close()
      const late = ledger.claim(request({ key: 'late' }))
      await expect(late).rejects.toMatchObject({ code: 'store_unavailable' })
      expect(tally(await Promise.all(asked))).toEqual({ claimed: CALLERS })
      await closed
      await ledger.close()
      ledger = await openAgain()
      expect(await countsOf('forwarded')).toBe(CALLERS)
    })

    it('agrees with a model of itself over any history', async () => {
      let history = 0
      await fc.assert(
        fc.asyncProperty(commands, async steps => {
          history += 1
          await agreesWithModel({ ledger, time, prefix: `history ${history}` }, steps)
        }),
        { numRuns: 300 },
      )
    })
  })
}
