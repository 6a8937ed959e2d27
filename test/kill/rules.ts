import type { ClaimState, LedgerRow } from '../../src/ledger/ledger.ts'
import { nonceOf } from './books.ts'
import { AMOUNTS, type Attempt, type Order } from './order.ts'
import type { Transfer } from './transfers.ts'

/** A promise that was not kept. */
export interface Violation {
  readonly rule: string
  readonly detail: string
  /** Null where no order is known that it is about. */
  readonly order: Order | null
}

/** What was found when a gateway had just been killed. */
export interface Death {
  readonly generation: number
  /** By nonce. */
  readonly states: ReadonlyMap<string, ClaimState>
}

const PAID: readonly (ClaimState | undefined)[] = ['settled', 'delivered']

/**
 * Each step is durable before the next one begins: whatever others saw of a gateway's work, its
 * ledger knew before it died.
 *
 * @param settles What the facilitator was asked to settle, by nonce.
 */
export function checkWrittenAhead(
  { generation, states }: Death,
  orders: Iterable<Order>,
  settles: ReadonlyMap<string, { readonly refused: boolean }>,
): Violation[] {
  const violations: Violation[] = []
  for (const order of orders) {
    const state = (nonce: string): ClaimState | undefined => states.get(nonce)
    const broken = (rule: string, nonce: string) =>
      violations.push({ rule, detail: `its row: ${state(nonce) ?? 'none'}`, order })
    for (const { nonce, pricedBytes } of order.attempts.filter(isOf(generation))) {
      if (pricedBytes > 0 && !PAID.includes(state(nonce))) {
        broken('content leaves after its settlement is durable', nonce)
      }
    }
    if (order.executions.some(isOf(generation))) {
      const known = order.payments.map(({ nonce }) => nonce)
      const newest = known.at(-1) ?? ''
      const claimed = known.map(state)
      if (claimed.every(one => one === undefined)) {
        broken('the upstream is asked after the claim is durable', newest)
      }
      if (order.plan.settle === 'before-upstream' && !claimed.some(one => PAID.includes(one))) {
        broken('before-upstream: the upstream is asked after the settlement is durable', newest)
      }
    }
    for (const { nonce } of order.payments) {
      const settle = settles.get(nonce)
      if (settle === undefined || settle.refused) continue
      if (state(nonce) === undefined || state(nonce) === 'forwarded') {
        broken('a settle leaves after that is durable', nonce)
      }
    }
  }
  return violations
}

function isOf(generation: number): (one: { readonly generation: number }) => boolean {
  return one => one.generation === generation
}

/** What is known when everything has come to its end. */
export interface Aftermath {
  readonly orders: readonly Order[]
  readonly rows: readonly LedgerRow[]
  readonly transfers: readonly Transfer[]
  /** Of all gateways; the last one's is its end in peace. */
  readonly deaths: readonly Death[]
}

export function checkAftermath(aftermath: Aftermath): Violation[] {
  const { orders, rows, transfers, deaths } = aftermath
  const byNonce = new Map(
    orders.flatMap(order => order.payments.map(({ nonce }) => [nonce, order] as const)),
  )
  return [
    ...checkTransfers(transfers, rows, byNonce),
    ...checkRows(rows, transfers, byNonce),
    ...orders.flatMap(order => checkOrder(order, { rows, transfers, deaths })),
  ]
}

type ByNonce = ReadonlyMap<string, Order>

function checkTransfers(
  transfers: readonly Transfer[],
  rows: readonly LedgerRow[],
  orders: ByNonce,
): Violation[] {
  return transfers.flatMap(({ nonce, transaction, amount, payer }) => {
    const order = orders.get(nonce) ?? null
    const broken = (rule: string, detail: string): Violation => ({ rule, detail, order })
    const its = rows.filter(row => nonceOf(row.key) === nonce)
    const [row] = its
    if (row === undefined || its.length > 1) {
      return [broken('every transfer has exactly one row', `${its.length} for ${transaction}`)]
    }
    if (!PAID.includes(row.state)) return [broken('what was paid is written down', row.state)]
    const named = {
      transaction: row.transaction,
      amount: row.amount,
      payer: row.payer.toLowerCase(),
    }
    const fits = Object.entries({ transaction, amount, payer }).every(
      ([name, value]) => named[name as keyof typeof named] === value, // its own keys
    )
    return fits ? [] : [broken('a row names its transfer and its amount', show(named))]
  })
}

function checkRows(
  rows: readonly LedgerRow[],
  transfers: readonly Transfer[],
  orders: ByNonce,
): Violation[] {
  return rows.flatMap(row => {
    const nonce = nonceOf(row.key)
    const order = orders.get(nonce) ?? null
    const its = transfers.filter(one => one.nonce === nonce)
    const violations: Violation[] = []
    if (PAID.includes(row.state) && its.length !== 1) {
      const detail = `${its.length} for a ${row.state} row`
      violations.push({ rule: 'every paid row has exactly one transfer', detail, order })
    }
    if (row.state !== 'delivered' && row.state !== 'released') {
      violations.push({ rule: 'every row is final in the end', detail: row.state, order })
    }
    return violations
  })
}

function checkOrder(
  order: Order,
  { rows, transfers, deaths }: Omit<Aftermath, 'orders'>,
): Violation[] {
  const violations: Violation[] = []
  const broken = (rule: string, detail = ''): void => void violations.push({ rule, detail, order })
  const paidBy = new Map(transfers.map(one => [one.nonce, one]))
  const charges = order.payments.filter(({ nonce }) => paidBy.has(nonce))
  if (charges.length > 1) broken('nobody is charged twice', `${charges.length} transfers`)
  for (const { nonce } of charges) {
    const amount = paidBy.get(nonce)?.amount
    if (amount !== AMOUNTS[order.plan.settle]) broken('the charge is the price', String(amount))
  }
  for (const { nonce, pricedBytes, status, code } of order.attempts) {
    if (pricedBytes > 0 && !paidBy.has(nonce)) broken('no priced byte without a transfer')
    if (status === 402 && paidBy.has(nonce)) broken('nobody is asked twice', String(code))
    if (!isExpected(status, code)) broken('answers are of the expected kinds', `${status} ${code}`)
  }
  const stayed = order.attempts.every(({ left }) => !left)
  for (const row of rows) {
    const own = order.attempts.filter(({ nonce }) => nonce === nonceOf(row.key))
    if (own.length === 0 || row.state !== 'delivered' || !stayed) continue
    if (!own.some(({ whole }) => whole)) broken('what says delivered was received in full')
  }
  if (stayed && order.executions.some(({ overlaps }) => overlaps)) {
    broken('one payment is executed once at a time')
  }
  for (const detail of secondDeliveries(order.attempts, deaths)) {
    broken('what was delivered is not delivered again', detail)
  }
  return violations
}

/**
 * A gateway that dies before it writes down a delivery has to deliver again; no other may. One whose
 * store failed writes it later, and gives nothing for the payment meanwhile.
 */
function* secondDeliveries(attempts: readonly Attempt[], deaths: readonly Death[]) {
  for (const [index, attempt] of attempts.entries()) {
    if (attempt.pricedBytes === 0) continue
    const { nonce, generation } = attempt
    const earlier = attempts.slice(0, index).filter(one => one.nonce === nonce)
    if (earlier.some(one => one.whole && one.generation === generation)) {
      yield `twice in generation ${generation}`
    }
    const done = deaths.find(
      one => one.generation < generation && one.states.get(nonce) === 'delivered',
    )
    if (done !== undefined) yield `delivered before death ${done.generation}`
  }
}

const EXPECTED = new Set([
  '402',
  '409 payment_in_progress',
  '409 payment_already_used',
  '503 settlement_pending',
  '503 facilitator_unavailable',
  // What the upstream itself says.
  '500 null',
  // Where this machine is too busy for the time-outs.
  '503 store_unavailable',
  '504 upstream_timeout',
])

function isExpected(status: number | null, code: string | null): boolean {
  if (status === null || status === 200) return true
  return EXPECTED.has(String(status)) || EXPECTED.has(`${status} ${code}`)
}

function show(value: Record<string, unknown>): string {
  return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one))
}

/** Orders that got their content after a gateway had died between their payment and its delivery. */
export function countRedeemed(orders: readonly Order[], deaths: readonly Death[]): number {
  const isOpen = (state: ClaimState | undefined): boolean =>
    state === 'settled' || state === 'settling' || state === 'unknown'
  return orders.filter(({ attempts }) =>
    attempts.some(
      ({ whole, nonce, generation }) =>
        whole &&
        deaths.some(death => death.generation < generation && isOpen(death.states.get(nonce))),
    ),
  ).length
}
