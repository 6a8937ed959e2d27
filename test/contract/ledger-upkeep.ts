import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { type ClaimState, claimId, type Ledger, type LedgerRow } from '../../src/ledger/ledger.ts'
import {
  type ClaimDetails,
  claimed,
  claimedAs,
  claimRequest,
  HOLD_MS,
  movableClock,
  RECEIPT,
  STATES,
} from '../ledger/claim-fixtures.ts'
import type { LedgerUnderTest } from './ledger-states.ts'
import { openTwo } from './two-ledgers.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** What the resolver, the clean-up and reports ask of every ledger. */
export function describeUpkeep(
  name: string,
  open: (options: LedgerUnderTest) => Promise<Ledger>,
): void {
  describe(`the upkeep of ${name}`, () => {
    let time = movableClock()
    let ledger: Ledger
    let other: Ledger

    beforeEach(async () => {
      ;({ time, ledger, other } = await openTwo('upkeep', open))
    })
    afterEach(() => Promise.all([ledger.close(), other.close()]))

    function request(details: Partial<ClaimDetails> = {}) {
      return claimRequest({ heldUntil: later(HOLD_MS), ...details })
    }

    function later(milliseconds: number) {
      return unixMs(time.clock() + milliseconds)
    }

    async function oneOfEach(prefix: string): Promise<void> {
      for (const state of STATES) {
        await claimedAs(state, ledger, request({ key: `${prefix} ${state}` }))
        time.advance(1)
      }
    }

    async function all(): Promise<readonly LedgerRow[]> {
      return ledger.list({ limit: 1000 })
    }

    async function statesLeft(): Promise<ClaimState[]> {
      return (await all()).map(row => row.state)
    }

    describe('taking unresolved claims', () => {
      it('takes what is settling or unknown once its hold has run out, oldest first', async () => {
        await oneOfEach('a')
        await claimedAs('settling', ledger, request({ key: 'younger' }))
        time.advance(HOLD_MS)
        const taken = await ledger.takeUnresolved({ limit: 10, heldUntil: later(HOLD_MS) })
        expect(taken.map(({ state }) => state)).toEqual(['settling', 'unknown', 'settling'])
        expect(taken.map(({ key }) => key.split('/').at(-1))).toEqual([
          ...['a settling', 'a unknown', 'younger'],
        ])
      })

      it('takes some of the youngest and some of the oldest, so that neither waits', async () => {
        for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
          await claimedAs('unknown', ledger, request({ key }))
          time.advance(1)
        }
        const take = async (limit: number) => {
          const taken = await other.takeUnresolved({ limit, heldUntil: later(HOLD_MS) })
          return taken.map(({ key }) => key.split('/').at(-1)).join('')
        }
        expect(await take(3)).toBe('aef')
        expect(await take(1)).toBe('d')
        expect(await take(2)).toBe('bc')
        expect(await take(2)).toBe('')
      })

      it('takes an unknown claim at once, and a settling one not a moment too early', async () => {
        await claimedAs('unknown', ledger, request({ key: 'unknown' }))
        await claimedAs('settling', ledger, request({ key: 'settling' }))
        const ask = { limit: 10, heldUntil: later(HOLD_MS + 1) }
        time.advance(HOLD_MS - 1)
        expect((await ledger.takeUnresolved(ask)).map(({ state }) => state)).toEqual(['unknown'])
        time.advance(1)
        expect((await ledger.takeUnresolved(ask)).map(({ state }) => state)).toEqual(['settling'])
      })

      it('gives all that a resolver needs', async () => {
        const asked = request({ next: 'settling' })
        const id = await claimed(ledger, asked)
        await ledger.markUnknown(id, 'timed out', '0xabc')
        const createdAt = time.clock()
        time.advance(HOLD_MS)
        const [taken] = await ledger.takeUnresolved({ limit: 1, heldUntil: later(HOLD_MS) })
        const { fingerprint, next, heldUntil, redeemableMs, identifier, ...kept } = asked
        expect(taken).toEqual({ ...kept, id, state: 'unknown', transaction: '0xabc', createdAt })
      })

      it('gives no claim to two who ask at the same time, and none is left out', async () => {
        const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
        await Promise.all(keys.map(key => claimedAs('unknown', ledger, request({ key }))))
        const asks = Array.from({ length: 12 }, (_, index) =>
          (index % 2 === 0 ? ledger : other).takeUnresolved({
            limit: 5,
            heldUntil: later(HOLD_MS),
          }),
        )
        const ids = (await Promise.all(asks)).flat().map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        const rest = await ledger.takeUnresolved({ limit: 1000, heldUntil: later(HOLD_MS) })
        expect(ids.length + rest.length).toBe(keys.length)
      })

      it('holds what it took until then, and gives it again after', async () => {
        const id = await claimedAs('unknown', ledger, request())
        const ask = () => other.takeUnresolved({ limit: 10, heldUntil: later(HOLD_MS) })
        expect((await ask()).map(taken => taken.id)).toEqual([id])
        time.advance(HOLD_MS - 1)
        expect(await ask()).toEqual([])
        time.advance(1)
        expect((await ask()).map(taken => taken.id)).toEqual([id])
        await ledger.markSettled(id, RECEIPT)
        time.advance(HOLD_MS)
        expect(await ask()).toEqual([])
        expect((await ledger.claim(request())).kind).toBe('entitled')
      })

      it('gives a claim again at once when the resolver says that it is unknown still', async () => {
        const id = await claimedAs('unknown', ledger, request())
        const ask = () => other.takeUnresolved({ limit: 10, heldUntil: later(HOLD_MS) })
        expect(await ask()).toHaveLength(1)
        await ledger.markUnknown(id, 'not final yet', '0xabc')
        expect(await ask()).toMatchObject([{ id, state: 'unknown', transaction: '0xabc' }])
      })

      it('lets the request that outlived its hold still say what became of it', async () => {
        const id = await claimedAs('settling', ledger, request())
        time.advance(HOLD_MS)
        await ledger.takeUnresolved({ limit: 10, heldUntil: later(HOLD_MS) })
        await ledger.markSettled(id, RECEIPT)
        await ledger.markSettled(id, RECEIPT)
        expect(await statesLeft()).toEqual(['settled'])
      })

      it('leaves to the payment what it says of it while it is being resolved', async () => {
        await claimedAs('unknown', ledger, request())
        await ledger.takeUnresolved({ limit: 10, heldUntil: later(HOLD_MS) })
        expect((await ledger.claim(request())).kind).toBe('settlement-pending')
      })
    })

    describe('extending holds', () => {
      const kindsOf = async (...keys: string[]) => {
        const known = keys.map(key => other.recall(request({ key })))
        return (await Promise.all(known)).map(({ kind }) => kind)
      }

      it('keeps what is being delivered from everybody else', async () => {
        const ids = [
          await claimedAs('settled', ledger, request({ key: 'a' })),
          await claimedAs('settled', ledger, request({ key: 'b' })),
        ]
        time.advance(HOLD_MS - 1)
        const extended = await ledger.extendHolds({ ids, heldUntil: later(HOLD_MS) })
        expect(new Set(extended)).toEqual(new Set(ids))
        time.advance(HOLD_MS - 1)
        expect(await kindsOf('a', 'b')).toEqual(['in-progress', 'in-progress'])
        time.advance(1)
        expect(await kindsOf('a', 'b')).toEqual(['entitled', 'entitled'])
      })

      it('holds again what has run out, as long as nobody has taken it', async () => {
        const id = await claimedAs('settled', ledger, request({ key: 'a' }))
        time.advance(2 * HOLD_MS)
        expect(await ledger.extendHolds({ ids: [id], heldUntil: later(HOLD_MS) })).toEqual([id])
        expect(await kindsOf('a')).toEqual(['in-progress'])
      })

      it('never shortens a hold', async () => {
        const id = await claimedAs('settled', ledger, request({ key: 'a' }))
        expect(await ledger.extendHolds({ ids: [id], heldUntil: later(1) })).toEqual([id])
        time.advance(HOLD_MS - 1)
        expect(await kindsOf('a')).toEqual(['in-progress'])
      })

      it('leaves a claim to whoever has taken it over, and a hold ended that was ended', async () => {
        const taken = await claimedAs('settled', ledger, request({ key: 'taken' }))
        const ended = await claimedAs('settled', ledger, request({ key: 'ended' }))
        await ledger.endHold(ended)
        time.advance(HOLD_MS)
        const successor = await other.recall(request({ key: 'taken' }))
        const ids = [taken, ended]
        expect(await ledger.extendHolds({ ids, heldUntil: later(5 * HOLD_MS) })).toEqual([])
        expect(await kindsOf('ended')).toEqual(['entitled'])
        if (successor.kind !== 'entitled') expect.unreachable('It was not taken over.')
        time.advance(HOLD_MS)
        expect(await kindsOf('taken')).toEqual(['entitled'])
      })

      it.each(STATES.filter(state => state !== 'settled'))('touches no %s claim', async state => {
        const id = await claimedAs(state, ledger, request({ key: 'a' }))
        const before = await all()
        time.advance(1)
        const asked = { ids: [id, claimId(987_654)], heldUntil: later(HOLD_MS) }
        expect(await ledger.extendHolds(asked)).toEqual([])
        expect(await all()).toEqual(before)
      })

      it('takes none, and refuses more than a thousand', async () => {
        const heldUntil = later(HOLD_MS)
        expect(await ledger.extendHolds({ ids: [], heldUntil })).toEqual([])
        const ids = Array.from({ length: 1001 }, (_, index) => claimId(index + 1))
        await expect(ledger.extendHolds({ ids, heldUntil })).rejects.toMatchObject({
          code: 'ledger_value',
        })
      })
    })

    describe('releasing what was abandoned', () => {
      it('releases every forwarded claim whose hold has run out, and nothing else', async () => {
        await oneOfEach('old')
        time.advance(HOLD_MS)
        const late = await claimedAs('forwarded', ledger, request({ key: 'young' }))
        expect(await other.releaseAbandoned()).toBe(1)
        expect(await other.releaseAbandoned()).toBe(0)
        expect(await statesLeft()).toEqual(['released', ...STATES.slice(1), 'forwarded'])
        await ledger.markSettling(late)
      })

      it('refuses the request that comes back for it', async () => {
        const id = await claimedAs('forwarded', ledger, request())
        time.advance(HOLD_MS)
        await ledger.releaseAbandoned()
        await expect(ledger.markSettling(id)).rejects.toMatchObject({ code: 'ledger_transition' })
        expect((await all())[0]?.detail).toMatch(/hold/)
        await claimed(ledger, request({ fingerprint: 'other' }))
      })
    })

    describe('pruning', () => {
      /** Long after everything ended, with a younger claim that lets all others go. */
      async function muchLater(): Promise<void> {
        time.advance(30 * DAY_MS)
        await claimedAs('forwarded', ledger, request({ key: 'newest' }))
      }

      it('forgets what is final, and never what is not', async () => {
        await oneOfEach('a')
        await muchLater()
        expect(await other.prune({ olderThan: later(-DAY_MS), limit: 1000 })).toBe(3)
        expect(await statesLeft()).toEqual(['forwarded', 'settling', 'unknown', 'forwarded'])
        const counts = await ledger.countByState()
        expect(counts).toMatchObject({ settled: 0, delivered: 0, released: 0, forwarded: 2 })
      })

      it('keeps what was written at that moment or after', async () => {
        const written = time.clock()
        await claimedAs('delivered', ledger, request({ key: 'a', validBefore: 1 }))
        await muchLater()
        expect(await ledger.prune({ olderThan: written, limit: 10 })).toBe(0)
        expect(await ledger.prune({ olderThan: unixMs(written + 1), limit: 10 })).toBe(1)
      })

      it.each(['delivered', 'released', 'settled'] as const)(
        'keeps a %s payment that the chain could still take',
        async state => {
          const validBefore = Math.ceil(later(60 * DAY_MS) / 1000)
          await claimedAs(state, ledger, request({ key: 'a', validBefore }))
          await muchLater()
          const prune = () => ledger.prune({ olderThan: later(0), limit: 10 })
          expect(await prune()).toBe(0)
          time.advance(validBefore * 1000 - time.clock() + HOUR_MS - 1)
          expect(await prune()).toBe(0)
          time.advance(2000)
          expect(await prune()).toBe(1)
        },
      )

      it('keeps one that never runs out', async () => {
        await claimedAs('delivered', ledger, request({ validBefore: 1e77 }))
        await muchLater()
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(0)
      })

      it('keeps a settled payment as long as it may be redeemed', async () => {
        const redeemableMs = 60 * DAY_MS
        await claimedAs('settled', ledger, request({ key: 'a', redeemableMs }))
        const settledAt = time.clock()
        await muchLater()
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(0)
        time.advance(settledAt + redeemableMs - time.clock())
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(1)
      })

      it('keeps a settled payment that is being delivered', async () => {
        await claimedAs('settled', ledger, request({ key: 'a', heldUntil: later(60 * DAY_MS) }))
        await muchLater()
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(0)
      })

      it('removes no more than it was allowed to, and the rest the next time', async () => {
        for (const key of ['a', 'b', 'c']) await claimedAs('delivered', ledger, request({ key }))
        await muchLater()
        const ask = { olderThan: later(0), limit: 2 }
        expect(await ledger.prune(ask)).toBe(2)
        expect(await ledger.prune(ask)).toBe(1)
        expect(await ledger.prune(ask)).toBe(0)
      })

      it('hands out no id twice', async () => {
        const old = await claimedAs('delivered', ledger, request({ key: 'a' }))
        time.advance(30 * DAY_MS)
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(0)
        const young = await claimed(ledger, request({ key: 'b' }))
        expect(young).toBeGreaterThan(old)
        expect(await ledger.prune({ olderThan: later(0), limit: 10 })).toBe(1)
        expect(await claimed(ledger, request({ key: 'a' }))).toBeGreaterThan(young)
      })
    })

    describe('listing', () => {
      it('shows everything about a row', async () => {
        const asked = request({ identifier: 'pay_0123456789abcdef' })
        const createdAt = time.clock()
        const id = await claimedAs('settling', ledger, asked)
        time.advance(1)
        await ledger.markUnknown(id, 'timed out', '0xabc')
        const { fingerprint, next, heldUntil, redeemableMs, ...kept } = asked
        const unresolved = { ...kept, id, createdAt, settledAt: null, deliveredAt: null }
        const detail = 'timed out'
        expect(await all()).toEqual([
          {
            ...unresolved,
            ...{ state: 'unknown', detail, transaction: '0xabc', updatedAt: createdAt + 1 },
          },
        ])
        time.advance(1)
        await ledger.markSettled(id, RECEIPT)
        time.advance(1)
        await ledger.markDelivered(id)
        expect(await all()).toEqual([
          {
            ...{ ...unresolved, state: 'delivered', detail, transaction: RECEIPT.transaction },
            ...{ updatedAt: createdAt + 3, settledAt: createdAt + 2, deliveredAt: createdAt + 3 },
          },
        ])
      })

      it('goes from page to page by id', async () => {
        await oneOfEach('a')
        const pages: LedgerRow[][] = []
        let after = claimId(0)
        for (;;) {
          const page = await other.list({ after, limit: 4 })
          if (page.length === 0) break
          pages.push([...page])
          after = page.at(-1)?.id ?? after
        }
        expect(pages.map(page => page.length)).toEqual([4, 2])
        const ids = pages.flat().map(({ id }) => id)
        expect(ids).toEqual(ids.toSorted((one, another) => one - another))
        expect(pages.flat().map(({ state }) => state)).toEqual(STATES)
      })

      it('filters by state, route, payer and time', async () => {
        const start = time.clock()
        await claimed(ledger, request({ key: 'a', route: 'GET /a', payer: '0xA' }))
        time.advance(10)
        await claimed(ledger, request({ key: 'b', route: 'GET /b', payer: '0xA' }))
        time.advance(10)
        await claimedAs('settled', ledger, request({ key: 'c', route: 'GET /b', payer: '0xB' }))
        const found = async (query: Parameters<Ledger['list']>[0]) =>
          (await ledger.list(query)).map(({ key }) => key.split('/').at(-1)).join('')
        const limit = 10
        expect(await found({ limit })).toBe('abc')
        expect(await found({ limit, route: 'GET /b' })).toBe('bc')
        expect(await found({ limit, payer: '0xA' })).toBe('ab')
        expect(await found({ limit, payer: '0xA', route: 'GET /b' })).toBe('b')
        expect(await found({ limit, states: ['settled', 'unknown'] })).toBe('c')
        expect(await found({ limit, states: ['settled', 'forwarded'] })).toBe('abc')
        expect(await found({ limit, states: [] })).toBe('')
        expect(await found({ limit, since: unixMs(start + 10) })).toBe('bc')
        expect(await found({ limit, until: unixMs(start + 10) })).toBe('a')
        expect(await found({ limit: 1, since: unixMs(start + 10) })).toBe('b')
        expect(await found({ limit, route: 'GET /z' })).toBe('')
      })
    })

    it.each([0, -1, 1.5, 1001, Number.NaN])('refuses a limit of %d', async limit => {
      const refused = { code: 'ledger_value' }
      const heldUntil = later(HOLD_MS)
      await expect(ledger.list({ limit })).rejects.toMatchObject(refused)
      await expect(ledger.takeUnresolved({ limit, heldUntil })).rejects.toMatchObject(refused)
      await expect(ledger.prune({ olderThan: later(0), limit })).rejects.toMatchObject(refused)
      await expect(ledger.pruneResponses({ limit })).rejects.toMatchObject(refused)
    })
  })
}
