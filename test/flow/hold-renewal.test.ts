import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { type HoldRenewal, startHoldRenewal } from '../../src/flow/hold-renewal.ts'
import { type ClaimId, claimId, type Ledger } from '../../src/ledger/ledger.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { claimedAs, claimRequest, HOLD_MS, movableClock } from '../ledger/claim-fixtures.ts'

let time: ReturnType<typeof movableClock>
let ledger: Ledger
let renewal: HoldRenewal
let calls: (readonly ClaimId[])[]
let errors: unknown[]
let isAway: boolean

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  time = movableClock()
  ledger = await openSqliteLedger({ path: ':memory:', clock: time.clock })
  calls = []
  errors = []
  isAway = false
  renewal = startHoldRenewal({
    clock: time.clock,
    reportError: error => void errors.push(error),
    ledger: {
      extendHolds(request) {
        calls.push(request.ids)
        if (!isAway) return ledger.extendHolds(request)
        return Promise.reject(new StoreUnavailableError('Away.', { fix: 'Wait.' }))
      },
    },
  })
})
afterEach(async () => {
  await renewal.close()
  await ledger.close()
  vi.useRealTimers()
})

const request = (key = 'a') => {
  return claimRequest({ key, heldUntil: unixMs(time.clock() + HOLD_MS) })
}

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 1_000) {
    time.advance(1_000)
    vi.advanceTimersByTime(1_000)
    // The ledger answers from its own thread: what was asked before this has been answered after.
    await ledger.countByState()
    await ledger.countByState()
  }
}

const kindOf = async (key = 'a') => (await ledger.recall(request(key))).kind

test('a payment stays held for as long as its response is on its way, and no longer', async () => {
  const id = await claimedAs('settled', ledger, request())
  const stop = renewal.keep(id)
  await pass(10 * HOLD_MS)
  expect(await kindOf()).toBe('in-progress')
  stop()
  await pass(HOLD_MS)
  expect(await kindOf()).toBe('entitled')
  expect(errors).toEqual([])
})

test('an ordinary response costs no call', async () => {
  for (let index = 0; index < 50; index++) {
    const stop = renewal.keep(await claimedAs('settled', ledger, request(`${index}`)))
    await pass(1_000)
    stop()
  }
  expect(calls).toEqual([])
})

test('many responses are held by one call at a time, and no call takes too many', async () => {
  const ids = Array.from({ length: 2_500 }, (_, index) => claimId(index + 1))
  for (const id of ids) renewal.keep(id)
  await pass(20_000)
  expect(calls.map(({ length }) => length)).toEqual([1_000, 1_000, 500])
})

test('a renewal that fails is reported, and tried again until the store is back', async () => {
  renewal.keep(await claimedAs('settled', ledger, request()))
  isAway = true
  await pass(30_000)
  expect(errors.length).toBeGreaterThan(2)
  isAway = false
  await pass(2 * HOLD_MS)
  expect(await kindOf()).toBe('in-progress')
})

test('a payment that was taken over is its successor’s alone', async () => {
  renewal.keep(await claimedAs('settled', ledger, request()))
  isAway = true
  await pass(HOLD_MS)
  expect(await kindOf()).toBe('entitled')
  isAway = false
  await pass(HOLD_MS)
  expect(await kindOf()).toBe('entitled')
  const before = calls.length
  await pass(HOLD_MS)
  expect(calls.length).toBe(before)
})
