import { describe, expect, test } from 'vitest'
import { atomicAmount } from '../../src/core/amount.ts'
import type { NetworkId, PaymentKey } from '../../src/core/payment.ts'
import { unixMs } from '../../src/core/time.ts'
import { type ClaimState, claimId, type LedgerRow } from '../../src/ledger/ledger.ts'
import { createChance } from './chance.ts'
import { type Attempt, drawPlan, newOrder, type Order, type SettleMode } from './order.ts'
import {
  type Aftermath,
  checkAftermath,
  checkWrittenAhead,
  countRedeemed,
  type Death,
} from './rules.ts'
import type { Transfer } from './transfers.ts'

const NONCE = '0x01'

function anOrder(attempts: Partial<Attempt>[], settle: SettleMode = 'on-response'): Order {
  const order = newOrder({ ...drawPlan('an-order', createChance(1, 'plan')), settle })
  order.payments.push({ nonce: NONCE, header: '' })
  for (const attempt of attempts) {
    order.attempts.push({
      ...{ generation: 0, nonce: NONCE, status: null, code: null, pricedBytes: 0 },
      ...{ whole: false, left: false, ended: true },
      ...attempt,
    })
  }
  return order
}

const WHOLE = { status: 200, pricedBytes: 10, whole: true }
const CUT_OFF = { status: 200, pricedBytes: 4 }
const TRANSFER: Transfer = { nonce: NONCE, transaction: '0xaa', payer: '0xbb', amount: 1_000n }

function aRow(state: ClaimState): LedgerRow {
  return {
    ...{ id: claimId(1), key: `eip3009/usdc/0xbb/${NONCE}` as PaymentKey, state },
    ...{ route: '/after/{id}', payer: '0xBB', network: 'eip155:84532' as NetworkId },
    ...{ asset: 'usdc', payTo: '0xcc', amount: atomicAmount(1_000n), validBefore: 1 },
    ...{ payload: '{}', requirements: '{}', transaction: '0xaa', createdAt: unixMs(1) },
    ...{
      detail: null,
      identifier: null,
      updatedAt: unixMs(1),
      settledAt: unixMs(1),
      deliveredAt: null,
    },
  }
}

function death(state: ClaimState | null): Death {
  return { generation: 0, states: new Map(state === null ? [] : [[NONCE, state]]) }
}

function rulesOf(violations: readonly { readonly rule: string }[]): string[] {
  return [...new Set(violations.map(({ rule }) => rule))]
}

describe('when a gateway has just died', () => {
  const nothing = new Map()

  test.each<ClaimState>(['settled', 'delivered'])('content may have left when it was %s', state => {
    expect(checkWrittenAhead(death(state), [anOrder([WHOLE])], nothing)).toEqual([])
  })

  test.each<ClaimState | null>([null, 'forwarded', 'settling', 'unknown', 'released'])(
    'content may not have left when its row was %s',
    state => {
      const found = checkWrittenAhead(death(state), [anOrder([CUT_OFF])], nothing)
      expect(rulesOf(found)).toEqual(['content leaves after its settlement is durable'])
    },
  )

  test('the upstream may not have heard of a payment without a row', () => {
    const order = anOrder([])
    order.executions.push({ generation: 0, status: 200, overlaps: false })
    expect(checkWrittenAhead(death('forwarded'), [order], nothing)).toEqual([])
    expect(rulesOf(checkWrittenAhead(death(null), [order], nothing))).toEqual([
      'the upstream is asked after the claim is durable',
    ])
  })

  test('nor, before-upstream, of one that was not settled', () => {
    const order = anOrder([], 'before-upstream')
    order.executions.push({ generation: 0, status: 200, overlaps: false })
    expect(checkWrittenAhead(death('settled'), [order], nothing)).toEqual([])
    expect(rulesOf(checkWrittenAhead(death('settling'), [order], nothing))).toEqual([
      'before-upstream: the upstream is asked after the settlement is durable',
    ])
  })

  test('the facilitator may not have heard a settle that was not written down', () => {
    const asked = new Map([[NONCE, { refused: false }]])
    expect(checkWrittenAhead(death('settling'), [anOrder([])], asked)).toEqual([])
    const refused = new Map([[NONCE, { refused: true }]])
    expect(checkWrittenAhead(death('forwarded'), [anOrder([])], refused)).toEqual([])
    for (const state of [null, 'forwarded'] as const) {
      expect(rulesOf(checkWrittenAhead(death(state), [anOrder([])], asked))).toEqual([
        'a settle leaves after that is durable',
      ])
    }
  })
})

describe('in the end', () => {
  const good: Aftermath = {
    orders: [anOrder([WHOLE])],
    rows: [aRow('delivered')],
    transfers: [TRANSFER],
    deaths: [],
  }
  const broken = (parts: Partial<Aftermath>): string[] =>
    rulesOf(checkAftermath({ ...good, ...parts }))

  test('a payment that was made and delivered is in order, and so is one that was not', () => {
    expect(checkAftermath(good)).toEqual([])
    const unpaid = { orders: [anOrder([{ status: 402 }])], rows: [aRow('released')], transfers: [] }
    expect(broken(unpaid)).toEqual([])
  })

  test.each<[string, Partial<Aftermath>]>([
    ['every transfer has exactly one row', { rows: [] }],
    ['every transfer has exactly one row', { rows: [aRow('delivered'), aRow('delivered')] }],
    ['what was paid is written down', { rows: [aRow('released')] }],
    [
      'a row names its transfer and its amount',
      { transfers: [{ ...TRANSFER, transaction: '0xdd' }] },
    ],
    ['a row names its transfer and its amount', { transfers: [{ ...TRANSFER, amount: 1_001n }] }],
    ['the charge is the price', { transfers: [{ ...TRANSFER, amount: 1_001n }] }],
    ['every paid row has exactly one transfer', { transfers: [] }],
    ['every paid row has exactly one transfer', { transfers: [TRANSFER, TRANSFER] }],
    ['every row is final in the end', { rows: [aRow('unknown')] }],
    ['every row is final in the end', { rows: [aRow('settled')] }],
    ['no priced byte without a transfer', { transfers: [], rows: [aRow('released')] }],
    ['nobody is asked twice', { orders: [anOrder([{ status: 402 }, WHOLE])] }],
    ['what says delivered was received in full', { orders: [anOrder([CUT_OFF])] }],
    ['what was delivered is not delivered again', { orders: [anOrder([WHOLE, CUT_OFF])] }],
    [
      'what was delivered is not delivered again',
      {
        orders: [anOrder([WHOLE, { ...CUT_OFF, generation: 1 }])],
        deaths: [death('delivered')],
      },
    ],
    [
      'answers are of the expected kinds',
      { orders: [anOrder([{ status: 500, code: 'internal_error' }, WHOLE])] },
    ],
  ])('"%s" is broken by what breaks it', (rule, parts) => {
    expect(broken(parts)).toContain(rule)
  })

  test('an order that two payments paid for was charged twice', () => {
    const order = anOrder([WHOLE])
    order.payments.push({ nonce: '0x02', header: '' })
    const transfers = [TRANSFER, { ...TRANSFER, nonce: '0x02' }]
    expect(broken({ orders: [order], transfers })).toContain('nobody is charged twice')
  })

  test('an order whose requests ran at the same time was executed twice at once', () => {
    const order = anOrder([WHOLE])
    order.executions.push({ generation: 0, status: 200, overlaps: true })
    expect(broken({ orders: [order] })).toEqual(['one payment is executed once at a time'])
  })

  test('a delivery that died before it was written down may come again', () => {
    const orders = [anOrder([WHOLE, { ...WHOLE, generation: 1 }])]
    expect(broken({ orders, deaths: [death('settled')] })).toEqual([])
    expect(countRedeemed(orders, [death('settled')])).toBe(1)
    expect(countRedeemed(orders, [death('delivered')])).toBe(0)
  })

  test('one that the store did not take at once may not, as long as its gateway lives', () => {
    const orders = [anOrder([WHOLE, WHOLE])]
    expect(broken({ orders, deaths: [death('settled')] })).toEqual([
      'what was delivered is not delivered again',
    ])
  })

  test('a client that went away itself may have missed what was handed over', () => {
    expect(broken({ orders: [anOrder([{ ...CUT_OFF, left: true }])] })).toEqual([])
  })
})
