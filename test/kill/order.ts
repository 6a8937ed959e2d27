import type { Chance } from './chance.ts'

export type SettleMode = 'on-response' | 'before-upstream'

/** What one customer wants and how it behaves, as the seed decides. */
export interface OrderPlan {
  /** Part of the path, so that everybody who meets the request knows whose it is. */
  readonly id: string
  readonly settle: SettleMode
  readonly method: 'GET' | 'POST'
  readonly content: 'short' | 'long' | 'streamed'
  readonly upstream: 'answers' | 'dawdles' | 'fails once'
  /**
   * `vanishes`: goes away at some moment and never comes back. `returns`: goes away once and comes
   * back with the same payment. `asks twice`: sends its payment twice at the same time. `asks
   * again`: sends it again once it has everything.
   */
  readonly manner: 'stays' | 'vanishes' | 'returns' | 'asks twice' | 'asks again'
  /** When it goes away, if it does. */
  readonly leaving: { readonly at: 'sent' | 'head' | 'body'; readonly afterMs: number }
  /** How long each of its payments is good for. */
  readonly validForSeconds: number
}

/** One request with a payment, as its client saw it. */
export interface Attempt {
  readonly generation: number
  readonly nonce: string
  /** Null when the connection ended before there was one. */
  status: number | null
  /** Of an answer that is not the content. */
  code: string | null
  pricedBytes: number
  /** The content came in full, byte for byte. */
  whole: boolean
  /** The client itself went away. */
  left: boolean
  ended: boolean
}

/** One request that the upstream was asked. */
export interface Execution {
  readonly generation: number
  readonly status: number
  /** Whether another one for the same order was running when it began. */
  readonly overlaps: boolean
}

export interface Payment {
  readonly nonce: string
  /** Value of the payment header. */
  readonly header: string
}

export interface Order {
  readonly plan: OrderPlan
  /** The newest is the last; there is a second one only after a 402. */
  readonly payments: Payment[]
  readonly attempts: Attempt[]
  readonly executions: Execution[]
  /** Everything that happened, in order, for whoever has to understand a failure. */
  readonly story: string[]
  /** Has everything, or has gone or given up for good. */
  finished: boolean
}

/** Atomic units. */
export const AMOUNTS = { 'on-response': 1_000n, 'before-upstream': 2_000n } as const
export const ROUTES = { 'on-response': '/after', 'before-upstream': '/before' } as const

export function newOrder(plan: OrderPlan): Order {
  return { plan, payments: [], attempts: [], executions: [], story: [], finished: false }
}

export function drawPlan(id: string, chance: Chance): OrderPlan {
  return {
    id,
    settle: chance.pick<SettleMode>([
      [1, 'on-response'],
      [1, 'before-upstream'],
    ]),
    method: chance.pick<OrderPlan['method']>([
      [2, 'GET'],
      [1, 'POST'],
    ]),
    content: chance.pick<OrderPlan['content']>([
      [3, 'short'],
      [1, 'long'],
      [4, 'streamed'],
    ]),
    upstream: chance.pick<OrderPlan['upstream']>([
      [8, 'answers'],
      [1, 'dawdles'],
      [1, 'fails once'],
    ]),
    manner: chance.pick<OrderPlan['manner']>([
      [12, 'stays'],
      [3, 'vanishes'],
      [3, 'returns'],
      [2, 'asks twice'],
      [2, 'asks again'],
    ]),
    leaving: {
      at: chance.pick<'sent' | 'head' | 'body'>([
        [1, 'sent'],
        [1, 'head'],
        [1, 'body'],
      ]),
      afterMs: chance.between(0, 60),
    },
    validForSeconds: chance.happens(0.1) ? 20 : 3_000,
  }
}

const LONG_LINES = 6_000

/** What is sold: every byte of it is recognisable. */
export function contentOf({ id, content }: OrderPlan): string[] {
  const line = (number: number): string => `priced ${id} ${number}\n`
  switch (content) {
    case 'short':
      return [line(1)]
    case 'long':
      return [Array.from({ length: LONG_LINES }, (_, number) => line(number)).join('')]
    case 'streamed':
      return Array.from({ length: 5 }, (_, number) => line(number))
  }
}
