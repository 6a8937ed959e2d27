import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { Payment } from '../../src/core/payment.ts'
import { type SettlementCheck, startSettlementCheck } from '../../src/flow/settlement-check.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type ChainView,
  type LookHints,
  type NonceUse,
  type SignedTransferOnChain,
} from '../../src/networks/chain-reader.ts'
import type { ErrorReported, SettlementChecked } from '../../src/observe/events.ts'
import { movableClock } from '../ledger/claim-fixtures.ts'
import { buyer } from '../support/accounts.ts'
import { createOffer, pay } from '../x402/payments.ts'

const NAMED = `0x${'AB'.repeat(32)}`
const ROUTE = 'GET /v1/weather/{city}'

let payment: Payment
let time: ReturnType<typeof movableClock>
let check: SettlementCheck
let checked: SettlementChecked['outcome'][]
let errors: ErrorReported[]
let looks: { readonly transfer: SignedTransferOnChain; readonly hints: LookHints }[]
/** What the chain says of every look. */
let chain: () => Promise<ChainView>
let reader: ChainReader | null

beforeAll(async () => {
  payment = await pay(buyer, createOffer())
})
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  time = movableClock()
  checked = []
  errors = []
  looks = []
  chain = async () => view(transfer(NAMED.toLowerCase()))
  reader = {
    look(asked, hints) {
      looks.push({ transfer: asked, hints })
      return chain()
    },
  }
  check = start()
})
afterEach(async () => {
  await check.close()
  vi.useRealTimers()
})

function start(waitingMax?: number): SettlementCheck {
  return startSettlementCheck(
    {
      chain: () => reader,
      clock: time.clock,
      observer: {
        settlementChecked: ({ outcome }) => void checked.push(outcome),
        errorReported: event => void errors.push(event),
      },
    },
    waitingMax,
  )
}

const transfer = (transaction: string): NonceUse => ({ kind: 'transfer', transaction, block: 95n })

function view(use: NonceUse | null): ChainView {
  return {
    latest: { number: 100n, timestamp: payment.validBefore - 10 },
    final: { number: 90n, timestamp: payment.validBefore - 30 },
    use,
  }
}

const settled = (): void => check.add(payment, { route: ROUTE, transaction: NAMED })

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 1_000) {
    time.advance(1_000)
    await vi.advanceTimersByTimeAsync(1_500)
  }
}

test('a settlement that the chain has is confirmed by one look, after a while', async () => {
  settled()
  expect(looks).toEqual([])
  await pass(10_000)
  expect([checked, errors, looks.length]).toEqual([['confirmed'], [], 1])
  const [look] = looks
  expect(look?.hints).toMatchObject({ transaction: NAMED })
  expect(look?.transfer).toMatchObject({
    ...{ method: 'eip3009', payer: payment.payer, amount: 1000n },
    validBefore: payment.validBefore,
  })
})

test.each<[SettlementChecked['outcome'], NonceUse | null]>([
  ['transaction_differs', transfer(`0x${'cd'.repeat(32)}`)],
  ['nothing_moved', null],
  ['cancelled', { kind: 'voided', how: 'cancelled', block: 90n }],
  ['used_otherwise', { kind: 'voided', how: 'other-use', block: 91n }],
])('a settlement that the chain does not have is an error: %s', async (outcome, use) => {
  chain = async () => view(use)
  settled()
  await pass(600_000)
  expect(checked).toEqual([outcome])
  expect(errors.map(({ error }) => error)).toMatchObject([{ code: 'settlement_differs' }])
  expect(String(errors[0]?.error)).toContain(NAMED)
  expect(check.differences).toBe(1)
})

test.each<[SettlementChecked['outcome'], () => Promise<ChainView>]>([
  ['unproven', async () => view({ kind: 'unproven' })],
  ['unavailable', () => Promise.reject(new ChainUnavailableError('base', 'no answer'))],
])('what cannot be told is counted, and is no error: %s', async (outcome, says) => {
  chain = says
  settled()
  await pass(600_000)
  expect([checked, errors, check.differences]).toEqual([[outcome], [], 0])
  expect(looks).toHaveLength(4)
})

test('a node that lags behind is asked again before anything is said', async () => {
  chain = async () => view(null)
  settled()
  await pass(10_000)
  expect([checked, looks.length]).toEqual([[], 1])
  chain = async () => view(transfer(NAMED))
  await pass(30_000)
  expect([checked, errors]).toEqual([['confirmed'], []])
})

test('few are asked for at once, and what waits is bounded', async () => {
  await check.close()
  check = start(10)
  const answer = Promise.withResolvers<ChainView>()
  chain = () => answer.promise
  for (let count = 0; count < 12; count++) settled()
  expect(checked).toEqual(['skipped', 'skipped'])
  await pass(30_000)
  expect(looks).toHaveLength(4)
  answer.resolve(view(transfer(NAMED)))
  await pass(1_000)
  expect(checked.filter(outcome => outcome === 'confirmed')).toHaveLength(10)
})

test('without a node, the facilitator is believed', async () => {
  reader = null
  settled()
  await pass(600_000)
  expect([checked, errors, looks]).toEqual([[], [], []])
})

test('closing waits for no node', async () => {
  chain = () => new Promise(() => {})
  settled()
  await pass(10_000)
  await check.close()
  expect(looks).toHaveLength(1)
})
