import { setTimeout as sleep } from 'node:timers/promises'
import type { ClaimState, LedgerRow } from '../../src/ledger/ledger.ts'
import { shop } from './customer.ts'
import type { Order } from './order.ts'
import { present } from './present.ts'
import { checkAftermath, countRedeemed, type Death, type Violation } from './rules.ts'
import type { Transfer } from './transfers.ts'
import type { KillWorld } from './world.ts'

export interface Settled {
  readonly rows: readonly LedgerRow[]
  readonly transfers: readonly Transfer[]
  /** Orders that got their content although a gateway had died over their payment. */
  readonly redeemed: number
  /** Those that nobody came back for, so that we asked for it in the end. */
  readonly redeemedLast: number
  readonly violations: readonly Violation[]
}

/** Longer than any claim of a gateway that is dead is held. */
const PAUSE_MS = 200_000
/** For the resolver and for customers to come to an end. */
const PATIENCE_MS = 30_000
/** A payment that nobody works on is redeemed at once, not when some hold has run out. */
const REDEEM_MS_MAX = 10_000
const CALM_ORDERS = 8

/**
 * Runs the last gateway, which nobody kills: everybody comes back, everything open is finished,
 * and everything that is paid for is fetched.
 */
export async function settleUp(world: KillWorld, deaths: readonly Death[]): Promise<Settled> {
  const generation = deaths.length
  const stopped = new AbortController()
  world.calmDown()
  await world.advance(PAUSE_MS)
  await world.mine(3)
  const gateway = await world.startGateway(generation, stopped.signal)
  if (gateway.kind !== 'listening') throw new Error(`It did not start again: ${gateway.stdout}`)
  try {
    await orderInPeace(world)
    const patience = AbortSignal.any([stopped.signal, AbortSignal.timeout(PATIENCE_MS)])
    const counter = { url: gateway.url, generation, killed: patience }
    const waiting = world.orders.filter(({ finished }) => !finished)
    await Promise.all(waiting.map(order => shop(order, counter, world)))
    await world.mine(3)
    const open = await openRows(world)
    const before = await world.transfers()
    const redemption = await redeemAll(world, before, { url: gateway.url, generation })
    const transfers = await world.transfers()
    if ((await gateway.stop()) !== 0) throw new Error('It did not stop as it was asked to.')
    const rows = await world.books.rows()
    const { orders } = world
    const end = {
      generation,
      states: await world.books.states(),
    }
    const violations = [
      ...open,
      ...redemption.violations,
      ...checkAftermath({ orders, rows, transfers, deaths: [...deaths, end] }),
      ...checkUnchanged(before, transfers),
    ]
    const redeemed = countRedeemed(orders, deaths)
    return { rows, transfers, redeemed, redeemedLast: redemption.redeemed, violations }
  } finally {
    stopped.abort()
  }
}

/** Also customers who go away in the middle: nobody dies, and they come back to what is theirs. */
async function orderInPeace(world: KillWorld): Promise<void> {
  for (let count = 0; count < CALM_ORDERS; count++) await world.newOrder()
  for (const settle of ['on-response', 'before-upstream'] as const) {
    const leaving = { at: 'body', afterMs: 0 } as const
    const leaves = { settle, content: 'streamed', manner: 'returns', leaving } as const
    await world.newOrder(leaves)
    await world.newOrder({ ...leaves, manner: 'vanishes' })
  }
}

/** Waits for the resolver, and tells what it did not finish. */
async function openRows(world: KillWorld): Promise<Violation[]> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const states = [...(await world.books.states())]
    const open = states.filter(([, state]) => !['settled', 'delivered', 'released'].includes(state))
    if (open.length === 0) return []
    if (performance.now() > deadline) {
      return open.map(([nonce, detail]) => ({
        ...{ rule: 'nothing stays open', detail, order: orderOf(world, nonce) },
      }))
    }
    await sleep(100)
  }
}

async function redeemAll(
  world: KillWorld,
  transfers: readonly Transfer[],
  counter: { readonly url: string; readonly generation: number },
): Promise<{ redeemed: number; violations: Violation[] }> {
  const states = await world.books.states()
  const ends = await Promise.all(
    transfers.map(async ({ nonce }): Promise<Violation | 'redeemed' | null> => {
      const order = orderOf(world, nonce)
      if (order === null || !isOwed(order, nonce, states.get(nonce))) return null
      const detail = await redeem(world, order, { ...counter, nonce })
      if (detail === null) return 'redeemed'
      return { rule: 'what is paid is for the asking', detail, order }
    }),
  )
  return {
    redeemed: ends.filter(end => end === 'redeemed').length,
    violations: ends.filter(end => end !== null && end !== 'redeemed'),
  }
}

function isOwed(order: Order, nonce: string, state: ClaimState | undefined): boolean {
  if (state === 'settled') return true
  const own = order.attempts.filter(one => one.nonce === nonce)
  if (own.some(({ whole }) => whole)) return false
  // Where the client went away itself, everything may have been handed over by then.
  return state !== 'delivered' || own.every(({ left }) => !left)
}

/** Null once it has everything. */
async function redeem(
  { moments }: KillWorld,
  order: Order,
  at: { readonly url: string; readonly generation: number; readonly nonce: string },
): Promise<string | null> {
  const { url: gatewayUrl, generation, nonce } = at
  const payment = order.payments.find(one => one.nonce === nonce)
  if (payment === undefined) return 'nobody has the payment'
  const deadline = performance.now() + REDEEM_MS_MAX
  for (;;) {
    const how = { gatewayUrl, generation, payment, leaves: false }
    const { whole, status, code } = await present(order, how, moments)
    if (whole) return null
    const mayPass = code === 'payment_in_progress' || (status ?? 500) >= 500
    if (!mayPass || performance.now() > deadline) return `${status} ${code}`
    await sleep(50)
  }
}

function checkUnchanged(before: readonly Transfer[], after: readonly Transfer[]): Violation[] {
  if (before.length === after.length) return []
  const detail = `${after.length - before.length} more transfers`
  return [{ rule: 'a redemption moves no money', detail, order: null }]
}

function orderOf({ orders }: KillWorld, nonce: string): Order | null {
  return orders.find(({ payments }) => payments.some(one => one.nonce === nonce)) ?? null
}
