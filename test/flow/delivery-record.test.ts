import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { paymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { type DeliveryRecord, startDeliveryRecord } from '../../src/flow/delivery-record.ts'
import { createLeases } from '../../src/flow/leases.ts'
import { type ClaimId, claimId, type Ledger } from '../../src/ledger/ledger.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { claimedAs, claimRequest, HOLD_MS, movableClock } from '../ledger/claim-fixtures.ts'

let time: ReturnType<typeof movableClock>
let ledger: Ledger
let record: DeliveryRecord
let errors: unknown[]
let tries: number
/** What the store does with a write: refuses it, or writes it and loses the answer. */
let fault: 'none' | 'away' | 'answer lost'

async function write(step: () => Promise<void>): Promise<void> {
  tries++
  if (fault !== 'away') await step()
  if (fault !== 'none') throw new StoreUnavailableError('Away.', { fix: 'Wait.' })
}

function start(waitingMax?: number): DeliveryRecord {
  const flaky = {
    markDelivered: (id: ClaimId) => write(() => ledger.markDelivered(id)),
    endHold: (id: ClaimId) => write(() => ledger.endHold(id)),
  }
  const reportError = (error: unknown): void => void errors.push(error)
  return startDeliveryRecord({ ledger: flaky, clock: time.clock, reportError }, waitingMax)
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  time = movableClock()
  ledger = await openSqliteLedger({ path: ':memory:', clock: time.clock })
  errors = []
  tries = 0
  fault = 'none'
  record = start()
})
afterEach(async () => {
  await record.close()
  await ledger.close()
  vi.useRealTimers()
})

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    time.advance(500)
    vi.advanceTimersByTime(500)
    await ledger.countByState()
    await ledger.countByState()
  }
}

const key = paymentKey('a')
const request = () => claimRequest({ heldUntil: unixMs(time.clock() + HOLD_MS) })
const settled = (): Promise<ClaimId> => claimedAs('settled', ledger, request())
const unavailable = { code: 'store_unavailable' }

test('a delivery that the store missed is written as soon as it is back', async () => {
  const id = await settled()
  fault = 'away'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  await pass(30_000)
  fault = 'none'
  await pass(10_000)
  expect(await ledger.countByState()).toMatchObject({ delivered: 1, settled: 0 })
  await pass(10 * HOLD_MS)
  expect((await ledger.claim(request())).kind).toBe('used')
  expect(errors).toEqual([])
})

test('nobody in this process gets the payment again until it is written', async () => {
  const id = await settled()
  const leases = createLeases(asked => record.isBehind(asked))
  fault = 'away'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  expect(await leases.take(key)).toBeNull()
  expect(await leases.take(paymentKey('b'))).not.toBeNull()
  fault = 'none'
  await pass(10_000)
  expect(await leases.take(key)).not.toBeNull()
})

test('a hold that the store did not hear the end of is ended later', async () => {
  const id = await settled()
  fault = 'away'
  const written = record.write({ id, key, isDelivered: false })
  await expect(written).rejects.toMatchObject(unavailable)
  expect(record.isBehind(key)).toBe(false)
  fault = 'none'
  await pass(10_000)
  expect((await ledger.recall(request())).kind).toBe('entitled')
})

test('what was written though the store refused is no error', async () => {
  const id = await settled()
  fault = 'answer lost'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  fault = 'none'
  await pass(10_000)
  expect([errors, record.isBehind(key)]).toEqual([[], false])
})

test('a delivery that somebody else has taken over meanwhile is told', async () => {
  const id = await settled()
  fault = 'away'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  time.advance(HOLD_MS)
  expect((await ledger.recall(request())).kind).toBe('entitled')
  fault = 'none'
  await pass(10_000)
  expect(errors).toMatchObject([{ code: 'ledger_transition' }])
})

test('a store that stays away is asked ever more seldom, and given up after ten minutes', async () => {
  const id = await settled()
  fault = 'away'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  await pass(620_000)
  expect(errors).toMatchObject([unavailable])
  expect(record.isBehind(key)).toBe(false)
  expect(tries).toBeLessThan(200)
  const before = tries
  await pass(60_000)
  expect(tries).toBe(before)
})

test('what waits is bounded, and what is lost is told', async () => {
  record = start(2)
  fault = 'away'
  for (const number of [1, 2, 3]) {
    const end = { id: claimId(number), key: paymentKey(`${number}`), isDelivered: true }
    await expect(record.write(end)).rejects.toMatchObject(unavailable)
  }
  expect(errors).toMatchObject([
    { code: 'store_unavailable', message: expect.stringContaining('1 deliver') },
  ])
  expect([1, 2, 3].map(number => record.isBehind(paymentKey(`${number}`)))).toEqual([
    ...[true, true, false],
  ])
})

test('closing writes what waits, and tells what it could not', async () => {
  const id = await settled()
  fault = 'away'
  await expect(record.write({ id, key, isDelivered: true })).rejects.toMatchObject(unavailable)
  fault = 'none'
  await record.close()
  expect(await ledger.countByState()).toMatchObject({ delivered: 1 })
  expect(errors).toEqual([])
})
