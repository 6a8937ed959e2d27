import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, unixMs } from '../../../src/core/time.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../../src/errors.ts'
import type { SettleAnswer } from '../../../src/facilitator/facilitator.ts'
import { createSettlements, type Settlements } from '../../../src/facilitator/serve/settlements.ts'
import type { Ledger } from '../../../src/ledger/ledger.ts'
import { openLedger } from '../../../src/ledger/open-ledger.ts'
import { buyer } from '../../support/accounts.ts'
import { createOffer, NETWORK, pay } from '../../x402/payments.ts'

/** Faults of a facilitator and of a process that a real chain cannot be made to show. */
const clock: Clock = () => unixMs(Date.now())
const HASH = `0x${'ab'.repeat(32)}`
const success: SettleAnswer = { success: true, transaction: HASH, network: NETWORK }
const unavailable = new FacilitatorUnavailableError('No node.', { fix: 'Wait.' })

let ledger: Ledger
let settle: () => Promise<SettleAnswer>
let hasSent: boolean
let errors: unknown[]
let leftOpen: number

beforeEach(async () => {
  const times = { redeemableMs: 0, retentionMs: 3_600_000 }
  ledger = await openLedger({ kind: 'sqlite', path: ':memory:', ...times }, clock)
  errors = []
  hasSent = false
  leftOpen = 0
})
afterEach(() => ledger.close())

/** One process's settlements: another one starts with nothing but the ledger. */
function open(): Settlements {
  return createSettlements({
    facilitator: { settle: () => settle(), hasSent: async () => hasSent },
    ...{ ledger, clock, settleMsMax: 1_000 },
    observer: { errorReported: ({ error }) => errors.push(error) },
    leftOpen: () => leftOpen++,
  })
}

const rows = async () =>
  (await ledger.list({ limit: 10 })).map(({ state, route, transaction }) => ({
    ...{ state, route, transaction },
  }))

test('the row is there, with who asked, before the facilitator hears of it', async () => {
  settle = async () => {
    expect(await rows()).toEqual([{ state: 'settling', route: 'shop', transaction: null }])
    return success
  }
  const answer = await open().settle(await pay(buyer, createOffer()), 'shop')
  const { address: payer } = buyer
  expect(answer).toEqual({ ...success, payer, amount: '1000' })
  expect(await rows()).toEqual([{ state: 'settled', route: 'shop', transaction: HASH }])
})

test('what an earlier process has settled is told without asking anybody', async () => {
  const payment = await pay(buyer, createOffer())
  settle = async () => success
  const first = await open().settle(payment, 'shop')
  settle = () => Promise.reject(new Error('Asked a second time.'))
  expect(await open().settle(payment, 'other')).toEqual(first)
})

test('what another process has claimed is not sent beside it, and its outcome is told', async () => {
  const payment = await pay(buyer, createOffer())
  const sent = Promise.withResolvers<SettleAnswer>()
  settle = () => sent.promise
  const first = open().settle(payment, 'shop')
  await expect.poll(rows).toHaveLength(1)
  settle = () => Promise.reject(new Error('Sent a second time.'))
  await expect(open().settle(payment, 'other')).rejects.toThrow(SettlementUnknownError)
  const second = open().settle(payment, 'other')
  sent.resolve(success)
  expect(await second).toEqual(await first)
  expect(errors).toEqual([])
})

test('what another process could not send is sent by the one that waits for it', async () => {
  const payment = await pay(buyer, createOffer())
  const sent = Promise.withResolvers<SettleAnswer>()
  settle = () => sent.promise
  const first = open().settle(payment, 'shop')
  await expect.poll(rows).toHaveLength(1)
  settle = async () => success
  const second = open().settle(payment, 'other')
  sent.reject(unavailable)
  await expect(first).rejects.toBe(unavailable)
  expect(await second).toMatchObject({ transaction: HASH })
  expect(await rows()).toMatchObject([{ state: 'settled', route: 'other' }])
})

test('what an earlier process may have sent is not called unsent while no node tells', async () => {
  const payment = await pay(buyer, createOffer())
  settle = () => new Promise(() => undefined)
  void open().settle(payment, 'shop')
  await expect.poll(rows).toHaveLength(1)
  hasSent = true
  settle = () => Promise.reject(unavailable)
  await expect(open().settle(payment, 'other')).rejects.toThrow(SettlementUnknownError)
  settle = async () => success
  expect(await open().settle(payment, 'other')).toMatchObject({ transaction: HASH })
  expect(leftOpen).toBe(1)
})

test('a settle that was not sent frees the payment', async () => {
  const payment = await pay(buyer, createOffer())
  settle = () => Promise.reject(unavailable)
  await expect(open().settle(payment, 'shop')).rejects.toBe(unavailable)
  expect(await rows()).toMatchObject([{ state: 'released' }])
})

test('a failure that nobody expected leaves the row open, and is no refusal', async () => {
  settle = () => Promise.reject(new Error('broken'))
  const answer = await open().settle(await pay(buyer, createOffer()), 'shop')
  expect(answer).toMatchObject({ success: false, errorReason: 'settlement_pending' })
  expect(await rows()).toMatchObject([{ state: 'unknown' }])
  expect([errors.length, leftOpen]).toEqual([1, 1])
})

test('a transaction in no block is named, and its row open', async () => {
  const pending = { success: false, errorReason: 'settlement_pending', transaction: HASH }
  settle = async () => ({ ...pending, network: NETWORK })
  expect(await open().settle(await pay(buyer, createOffer()), 'shop')).toMatchObject(pending)
  expect(await rows()).toMatchObject([{ state: 'unknown', transaction: HASH }])
})
