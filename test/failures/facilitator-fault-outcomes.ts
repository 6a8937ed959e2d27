import type { LocalAccount } from 'viem'
import type { Fault } from '../support/faulty-facilitator.ts'

/** All that can be seen of one payment after its request has ended. */
export interface Seen {
  /** Status and code of the answer; "200 content" when the client got what it paid for. */
  readonly client: string
  readonly retryAfter?: string | null
  /** What the settlement header says, if there is one. */
  readonly header?: string
  /** Requests that the upstream saw: in mode `on-response`, and in `before-upstream`. */
  readonly upstream: readonly [onResponse: number, beforeUpstream: number]
  /** The state of the payment's row; no row when absent. */
  readonly row?: string
  /** How often the facilitator was asked to verify, and to settle. */
  readonly asked: readonly [verify: number, settle: number]
  /** Whether the payment moved money. */
  readonly moved: boolean
  /** The same payment again, once the facilitator is well. */
  readonly again: 'gets its content' | 'is never asked to pay again' | RegExp
}

export interface Row {
  readonly name: string
  readonly fault: Fault
  readonly seen: Seen
  /** It never ends by itself: a gateway with short time-outs sees it. */
  readonly endless?: true
  /** It asks to be left alone: no other row may use the gateway that it asks. */
  readonly rests?: true
  readonly signer?: () => LocalAccount
  readonly value?: bigint
}

export const NOT_VERIFIED: Seen = {
  client: '503 facilitator_unavailable',
  retryAfter: '5',
  upstream: [0, 0],
  asked: [1, 0],
  moved: false,
  again: 'gets its content',
}

/** When the facilitator is well again, and still must not be asked. */
export const RESTING = /^503 facilitator_unavailable$/

/** After a settle that cannot have left. */
export const NOT_SENT: Seen = {
  ...NOT_VERIFIED,
  upstream: [1, 0],
  row: 'released',
  asked: [1, 1],
}

export const UNKNOWN: Seen = {
  client: '503 settlement_pending',
  retryAfter: '5',
  header: 'settlement_pending',
  upstream: [1, 0],
  row: 'unknown',
  asked: [1, 1],
  moved: false,
  again: 'is never asked to pay again',
}

export const PAID: Seen = {
  client: '200 content',
  header: 'settled',
  upstream: [1, 1],
  row: 'delivered',
  asked: [1, 1],
  moved: true,
  again: /^409 payment_already_used$/,
}

export const refused = (reason: string): Seen => ({
  client: `402 ${reason}`,
  upstream: [0, 0],
  asked: [1, 0],
  moved: false,
  again: 'gets its content',
})
