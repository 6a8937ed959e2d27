import { setTimeout as sleep } from 'node:timers/promises'
import type { Moments } from './moments.ts'
import type { Attempt, Order, Payment } from './order.ts'
import { present } from './present.ts'

/** The gateway that customers talk to, for as long as it lives. */
export interface Counter {
  readonly url: string
  readonly generation: number
  readonly killed: AbortSignal
}

export interface CustomerParts {
  readonly moments: Moments
  /** A new payment, after a 402. */
  sign(order: Order): Promise<Payment>
}

const PAYMENTS_MAX = 3
const PAUSE_MS_MIN = 60
const PAUSE_MS_MAX = 1_000

/**
 * Sends the same payment until it has what it paid for, as an honest client does: only after a 402
 * is there another payment. Ends with the gateway, at the latest.
 */
export async function shop(order: Order, counter: Counter, parts: CustomerParts): Promise<void> {
  let pauseMs = PAUSE_MS_MIN
  while (!counter.killed.aborted && !order.finished) {
    const outcome = await visit(order, counter, parts)
    if (outcome === 'over') {
      order.finished = true
    } else if (outcome === 'pay anew') {
      order.payments.push(await parts.sign(order))
    } else {
      await sleep(pauseMs, null, { signal: counter.killed }).catch(() => undefined)
      pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)
    }
  }
}

async function visit(
  order: Order,
  { url, generation }: Counter,
  { moments }: CustomerParts,
): Promise<'over' | 'pay anew' | 'wait'> {
  const { plan, payments, attempts } = order
  const payment = payments.at(-1)
  if (payment === undefined) return 'pay anew'
  const isFirst = attempts.length === 0
  const leaves = isFirst && (plan.manner === 'vanishes' || plan.manner === 'returns')
  const once = (): Promise<Attempt> =>
    present(order, { gatewayUrl: url, generation, payment, leaves }, moments)
  const times = isFirst && plan.manner === 'asks twice' ? 2 : 1
  const answers = await Promise.all(Array.from({ length: times }, once))
  if (answers.some(({ whole }) => whole)) {
    if (plan.manner === 'asks again') await once()
    return 'over'
  }
  if (leaves && plan.manner === 'vanishes') return 'over'
  // A client that went away itself may be told so: the gateway has handed everything over.
  if (answers.some(({ code }) => code === 'payment_already_used')) return 'over'
  if (!answers.every(({ status }) => status === 402)) return 'wait'
  return payments.length < PAYMENTS_MAX ? 'pay anew' : 'over'
}
