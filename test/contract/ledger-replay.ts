import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimId, ClaimRequest, ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import {
  type ClaimDetails,
  claimed,
  claimedAs,
  claimRequest,
  HOLD_MS,
  movableClock,
  RECEIPT,
  REDEEMABLE_MS,
  RESPONSE,
  STATES,
  tally,
} from '../ledger/claim-fixtures.ts'
import type { LedgerUnderTest } from './ledger-states.ts'
import { openTwo } from './two-ledgers.ts'

const KEPT_MS = 600_000
const CALLERS = 48
const IDENTIFIER = 'pay_0123456789abcdef'

/** What every ledger must do with responses that are given again, and with clients' own names. */
export function describeReplay(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): void {
  describe(`replay in ${name}`, () => {
    let time = movableClock()
    let ledger: Ledger
    let other: Ledger

    beforeEach(async () => {
      ;({ time, ledger, other } = await openTwo('replay', open))
    })
    afterEach(() => Promise.all([ledger.close(), other.close()]))

    function request(details: Partial<ClaimDetails> = {}) {
      return claimRequest({ heldUntil: later(HOLD_MS), ...details })
    }

    function later(milliseconds: number) {
      return unixMs(time.clock() + milliseconds)
    }

    /** A settled payment whose response is kept. */
    async function kept(details: Partial<ClaimDetails> = {}): Promise<ClaimId> {
      const id = await claimedAs('settled', ledger, request(details))
      await ledger.keepResponse(id, RESPONSE, later(KEPT_MS))
      return id
    }

    async function stateOf(key: string): Promise<ClaimState | undefined> {
      const rows = await ledger.list({ limit: 1000 })
      return rows.find(row => row.key.endsWith(`/${key}`))?.state
    }

    async function bodyOf({ key }: ClaimRequest): Promise<number[] | null> {
      const body = await ledger.readBody(key)
      return body && [...body]
    }

    describe('a response that is kept', () => {
      it('is given to claims and recalls, byte for byte, delivered or not', async () => {
        const id = await kept()
        const { body, ...head } = RESPONSE
        const { key } = request()
        const known = { kind: 'stored', id: null, receipt: RECEIPT, key, response: head }
        const stored = { ...known, bodyBytes: body.length }
        expect(await ledger.recall(request())).toEqual(stored)
        await ledger.markDelivered(id)
        expect(await other.recall(request())).toEqual(stored)
        expect(await other.claim(request())).toEqual(stored)
        expect(await bodyOf(request())).toEqual([...body])
      })

      it('names the claim to whoever is the first to get it', async () => {
        const id = await kept()
        await ledger.endHold(id)
        expect(await ledger.recall(request())).toMatchObject({ kind: 'stored', id })
        await ledger.markDelivered(id)
        expect(await ledger.recall(request())).toMatchObject({ kind: 'stored', id: null })
      })

      it('is given to nobody with another request', async () => {
        await kept()
        const { kind } = await ledger.recall(request({ fingerprint: 'other' }))
        expect(kind).toBe('other-request')
      })

      it.each([
        ['delivered', 'used'],
        ['settled', 'entitled'],
      ] as const)('ends at its time, and the payment is %s as without it', async (state, after) => {
        const id = await kept()
        if (state === 'delivered') await ledger.markDelivered(id)
        time.advance(KEPT_MS - 1)
        expect((await ledger.recall(request())).kind).toBe('stored')
        expect(await bodyOf(request())).not.toBeNull()
        time.advance(1)
        expect((await ledger.recall(request())).kind).toBe(after)
        expect(await bodyOf(request())).toBeNull()
      })

      it('is the later one where two were kept', async () => {
        const id = await kept()
        const second = { ...RESPONSE, status: 200, body: new Uint8Array(0), trailers: [] }
        await ledger.keepResponse(id, second, later(2 * KEPT_MS))
        time.advance(KEPT_MS)
        const { body, ...head } = second
        expect(await ledger.recall(request())).toMatchObject({ response: head, bodyBytes: 0 })
        expect(await bodyOf(request())).toEqual([...body])
      })

      it('holds a megabyte', async () => {
        const id = await claimedAs('settled', ledger, request())
        const body = new Uint8Array(1024 ** 2).fill(7)
        await ledger.keepResponse(id, { ...RESPONSE, body }, later(KEPT_MS))
        const stored = await other.readBody(request().key)
        expect(Buffer.compare(stored ?? Buffer.alloc(0), body)).toBe(0)
      })

      it('is removed once it has ended, so many at a time', async () => {
        for (const key of ['a', 'b', 'c']) await kept({ key })
        time.advance(KEPT_MS - 1)
        expect(await ledger.pruneResponses({ limit: 10 })).toBe(0)
        time.advance(1)
        expect(await ledger.pruneResponses({ limit: 2 })).toBe(2)
        expect(await other.pruneResponses({ limit: 2 })).toBe(1)
        expect(await ledger.pruneResponses({ limit: 2 })).toBe(0)
      })

      it('falls back to the payment itself where another clock has removed it', async () => {
        await ledger.markDelivered(await kept())
        await ledger.endHold(await kept({ key: 'b' }))
        time.advance(KEPT_MS)
        await ledger.pruneResponses({ limit: 10 })
        time.advance(-1)
        expect((await ledger.recall(request())).kind).toBe('used')
        expect((await ledger.recall(request({ key: 'b' }))).kind).toBe('entitled')
      })

      it('keeps its row from being forgotten', async () => {
        const until = later(REDEEMABLE_MS * 48)
        const id = await claimedAs('settled', ledger, request({ validBefore: 1 }))
        await ledger.keepResponse(id, RESPONSE, until)
        await ledger.markDelivered(id)
        time.advance(REDEEMABLE_MS * 48 - 1)
        await claimed(ledger, request({ key: 'newest' }))
        expect(await ledger.prune({ olderThan: later(-1), limit: 10 })).toBe(0)
        time.advance(1)
        expect(await ledger.prune({ olderThan: later(-1), limit: 10 })).toBe(1)
      })
    })

    describe('an identifier', () => {
      /** A second payment of the same payer with the same identifier. */
      function again(details: Partial<ClaimDetails> = {}) {
        return request({ key: 'second', identifier: IDENTIFIER, ...details })
      }

      const first = { key: 'first', identifier: IDENTIFIER }
      const ANSWERS: Record<ClaimState, readonly [same: string, other: string]> = {
        forwarded: ['in-progress', 'identifier-reused'],
        settling: ['settlement-pending', 'identifier-reused'],
        unknown: ['settlement-pending', 'identifier-reused'],
        settled: ['in-progress', 'identifier-reused'],
        delivered: ['used', 'identifier-reused'],
        released: ['claimed', 'claimed'],
      }

      it.each(STATES)('of a %s payment answers for every other payment', async state => {
        await claimedAs(state, ledger, request(first))
        const [same, differs] = ANSWERS[state]
        const unclaimed = (kind: string) => (kind === 'claimed' ? 'unclaimed' : kind)
        expect((await ledger.recall(again())).kind).toBe(unclaimed(same))
        const elsewhere = again({ fingerprint: 'other' })
        expect((await ledger.recall(elsewhere)).kind).toBe(unclaimed(differs))
        expect((await other.claim(elsewhere)).kind).toBe(differs)
        if (state !== 'released') expect((await other.claim(again())).kind).toBe(same)
      })

      it('compares the request, not what binds a payment to its first presenter', async () => {
        await claimedAs('delivered', ledger, request({ ...first, fingerprint: 'same.one' }))
        expect((await ledger.claim(again({ fingerprint: 'same.two' }))).kind).toBe('used')
      })

      it('gives another payment the response of the first', async () => {
        await ledger.markDelivered(await kept(first))
        const stored = await ledger.recall(again())
        expect(stored).toMatchObject({ kind: 'stored', receipt: RECEIPT })
        expect(stored).toMatchObject({ key: request(first).key })
      })

      it('lets another payment redeem the first once, and names the first', async () => {
        await ledger.endHold(await claimedAs('settled', ledger, request(first)))
        const lineUp = Array.from({ length: CALLERS }, (_, caller) =>
          (caller % 2 === 0 ? ledger : other).claim(again({ key: `fresh ${caller}` })),
        )
        const outcomes = await Promise.all(lineUp)
        expect(tally(outcomes)).toEqual({ entitled: 1, 'in-progress': CALLERS - 1 })
        const { key, asset } = request(first)
        expect(outcomes.find(({ kind }) => kind === 'entitled')).toMatchObject({
          ...{ receipt: RECEIPT, key, asset },
        })
      })

      it('belongs to its payer', async () => {
        await claimedAs('delivered', ledger, request({ ...first, payer: '0xA' }))
        await claimed(ledger, again({ key: 'third', payer: '0xB' }))
        expect((await ledger.recall(again({ payer: '0xA' }))).kind).toBe('used')
      })

      it('lets exactly one of many payments be claimed at once', async () => {
        const lineUp = Array.from({ length: CALLERS }, (_, caller) =>
          (caller % 2 === 0 ? ledger : other).claim(again({ key: `fresh ${caller}` })),
        )
        const kinds = tally(await Promise.all(lineUp))
        expect(kinds).toEqual({ claimed: 1, 'in-progress': CALLERS - 1 })
      })

      it.each(['held', 'over'])('goes from an abandoned claim to one of many (%s)', async hold => {
        const late = await claimedAs('forwarded', ledger, request(first))
        time.advance(hold === 'held' ? HOLD_MS - 1 : HOLD_MS)
        const lineUp = Array.from({ length: CALLERS }, (_, caller) =>
          (caller % 2 === 0 ? ledger : other).claim(again({ key: `fresh ${caller}` })),
        )
        const kinds = tally(await Promise.all(lineUp))
        if (hold === 'held') {
          expect(kinds).toEqual({ 'in-progress': CALLERS })
          await ledger.markSettling(late)
        } else {
          expect(kinds).toEqual({ claimed: 1, 'in-progress': CALLERS - 1 })
          const refused = { code: 'ledger_transition' }
          await expect(ledger.markSettling(late)).rejects.toMatchObject(refused)
          expect(await stateOf('first')).toBe('released')
        }
      })

      it('lets a late holder settle or a successor take it, never both', async () => {
        const names = Array.from({ length: CALLERS }, (_, index) => `pay_0123456789abcdef_${index}`)
        const ids = await Promise.all(
          names.map(identifier => claimed(ledger, request({ key: identifier, identifier }))),
        )
        time.advance(HOLD_MS)
        const races = names.map(async (identifier, index) => {
          const late = ledger.markSettling(ids[index] ?? (0 as ClaimId))
          const fresh = other.claim(again({ key: `fresh ${index}`, identifier }))
          const [settling, taken] = await Promise.allSettled([late, fresh])
          const tookOver = taken.status === 'fulfilled' && taken.value.kind === 'claimed'
          return settling.status === 'fulfilled' ? !tookOver : tookOver
        })
        expect(await Promise.all(races)).toEqual(names.map(() => true))
      })

      it('answers for a payment that was released and comes back after another got it', async () => {
        await claimedAs('released', ledger, request(first))
        await claimedAs('delivered', ledger, again())
        expect((await ledger.claim(request(first))).kind).toBe('used')
        const elsewhere = request({ ...first, fingerprint: 'other' })
        expect((await ledger.claim(elsewhere)).kind).toBe('identifier-reused')
      })

      it('lets only one of two released payments have it when both come back', async () => {
        const keys = Array.from({ length: CALLERS }, (_, index) => `old ${index}`)
        for (const key of keys) await claimedAs('released', ledger, again({ key }))
        const lineUp = keys.map((key, index) =>
          (index % 2 === 0 ? ledger : other).claim(again({ key })),
        )
        expect(tally(await Promise.all(lineUp))).toEqual({ claimed: 1, 'in-progress': CALLERS - 1 })
      })

      it('does not outweigh what the payment itself is known for', async () => {
        await claimedAs('delivered', ledger, request(first))
        await claimedAs('settling', ledger, request({ key: 'second' }))
        expect((await ledger.recall(again())).kind).toBe('settlement-pending')
      })
    })
  })
}
