import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Clock, unixMs } from '../../src/core/time.ts'
import type { ClaimId, ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import {
  claimedAs,
  claimRequest,
  HOLD_MS,
  movableClock,
  RECEIPT,
  REDEEMABLE_MS,
  RESPONSE,
  STATES,
} from '../ledger/claim-fixtures.ts'

export interface LedgerUnderTest {
  readonly clock: Clock
  /** Ledgers opened with the same name share what they remember; a new name is an empty store. */
  readonly store: string
}

export const OTHER_RECEIPT = { ...RECEIPT, transaction: `0x${'cd'.repeat(32)}` }

export const STEPS = {
  markSettling: (ledger, id) => ledger.markSettling(id),
  markSettled: (ledger, id) => ledger.markSettled(id, OTHER_RECEIPT),
  markUnknown: (ledger, id) => ledger.markUnknown(id, 'timed out', null),
  keepResponse: (ledger, id) => ledger.keepResponse(id, RESPONSE, unixMs(1)),
  markDelivered: (ledger, id) => ledger.markDelivered(id),
  endHold: (ledger, id) => ledger.endHold(id),
  release: (ledger, id) => ledger.release(id, 'nothing charged'),
} satisfies Record<string, (ledger: Ledger, id: ClaimId) => Promise<void>>

export type StepName = keyof typeof STEPS

/** Where each step leads, from every state that allows it. */
const ALLOWED: Record<StepName, Partial<Record<ClaimState, ClaimState>>> = {
  markSettling: { forwarded: 'settling' },
  markSettled: { settling: 'settled', unknown: 'settled' },
  markUnknown: { settling: 'unknown', unknown: 'unknown' },
  keepResponse: { settled: 'settled' },
  markDelivered: { settled: 'delivered' },
  endHold: { settled: 'settled' },
  release: { forwarded: 'released', settling: 'released', unknown: 'released' },
}

type Answers = readonly [same: string, other: string]
const PENDING: Answers = ['settlement-pending', 'other-request']
const USED: Answers = ['used', 'other-request']
const FREE: Answers = ['claimed', 'claimed']
const HELD: Answers = ['in-progress', 'other-request']

/** What the same payment gets in every state: by the same and by another request. */
const AGAIN: Record<ClaimState, Record<'held' | 'over' | 'redeemable no more', Answers>> = {
  forwarded: { held: HELD, over: FREE, 'redeemable no more': FREE },
  settling: { held: PENDING, over: PENDING, 'redeemable no more': PENDING },
  unknown: { held: PENDING, over: PENDING, 'redeemable no more': PENDING },
  settled: { held: HELD, over: ['entitled', 'other-request'], 'redeemable no more': USED },
  delivered: { held: USED, over: USED, 'redeemable no more': USED },
  released: { held: FREE, over: FREE, 'redeemable no more': FREE },
}

/** Every state against everything that can be asked of it. */
export function describeEveryState(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): void {
  describe.each(STATES)(`a payment that is %s in ${name}`, state => {
    const time = movableClock()
    let ledger: Ledger
    let testNumber = 0

    beforeAll(async () => {
      ledger = await open({ clock: time.clock, store: `every-${state}` })
    })
    afterAll(() => ledger.close())
    beforeEach(() => {
      testNumber += 1
    })

    function request(fingerprint: string, key: string) {
      const heldUntil = unixMs(time.clock() + HOLD_MS)
      return claimRequest({ key: `${testNumber} ${key}`, fingerprint, heldUntil })
    }

    describe.each([
      ['held', HOLD_MS - 1],
      ['over', HOLD_MS],
      ['over', REDEEMABLE_MS - 1],
      ['redeemable no more', REDEEMABLE_MS],
    ] as const)('%s after %d ms', (hold, laterMs) => {
      it.each(['same', 'other'] as const)('answers the %s request', async asker => {
        const expected = AGAIN[state][hold][asker === 'same' ? 0 : 1]
        await claimedAs(state, ledger, request('same', 'claimed'))
        await claimedAs(state, ledger, request('same', 'recalled'))
        time.advance(laterMs)
        const before = await ledger.countByState()
        const { kind: recalled } = await ledger.recall(request(asker, 'recalled'))
        expect(recalled).toBe(expected === 'claimed' ? 'unclaimed' : expected)
        expect(await ledger.countByState()).toEqual(before)
        const { kind: claimed } = await ledger.claim(request(asker, 'claimed'))
        expect(claimed).toBe(expected)
      })
    })

    it.each(Object.keys(ALLOWED) as StepName[])('allows or refuses %s', async stepName => {
      const id = await claimedAs(state, ledger, request('same', 'stepped'))
      const before = await ledger.countByState()
      const next = ALLOWED[stepName][state]
      const taken = STEPS[stepName](ledger, id)
      if (next === undefined) {
        await expect(taken).rejects.toMatchObject({ code: 'ledger_transition' })
        expect(await ledger.countByState()).toEqual(before)
        return
      }
      await taken
      const after = { ...before }
      after[state] -= 1
      after[next] += 1
      expect(await ledger.countByState()).toEqual(after)
    })
  })
}
