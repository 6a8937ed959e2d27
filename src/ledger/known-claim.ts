import type { PaymentKey } from '../core/payment.ts'
import { number, numberOrNull, type Row, receiptOf, stateOf, text } from './claim-row.ts'
import { type AskedClaim, type ExistingClaim, judgeClaim, judgeNamesake } from './claim-rules.ts'
import { claimId, type KnownClaim } from './ledger.ts'

/** What is there of a payment when it is presented. */
export interface FoundRows {
  readonly own: Row | null
  /** Of another payment of the same payer with the same identifier; never a released one. */
  readonly namesake: Row | null
}

export function foundRows(rows: readonly Row[], key: string): FoundRows {
  const own = rows.find(row => row['payment_key'] === key) ?? null
  return { own, namesake: rows.find(row => row !== own) ?? null }
}

export type JudgedRows =
  | { readonly kind: 'free' }
  | { readonly kind: KnownClaim['kind']; readonly row: Row }

/** What the payment itself is known for goes before what its identifier is. */
export function judgeRows({ own, namesake }: FoundRows, asked: AskedClaim): JudgedRows {
  const kind = own === null ? 'take-over' : judgeClaim(existingClaim(own), asked)
  if (own !== null && kind !== 'take-over') return { kind, row: own }
  if (namesake === null) return { kind: 'free' }
  const other = judgeNamesake(existingClaim(namesake), asked)
  return other === 'take-over' ? { kind: 'free' } : { kind: other, row: namesake }
}

/** The rows as they are once a response is gone that its row still speaks of. */
export function withoutResponse({ own, namesake }: FoundRows): FoundRows {
  const gone = { response_until: null }
  return { own: own && { ...own, ...gone }, namesake: namesake && { ...namesake, ...gone } }
}

/** What needs no more than the row to be said. */
export function knownByRow(kind: KnownClaim['kind'], row: Row): KnownClaim {
  switch (kind) {
    case 'used':
      return { kind, receipt: receiptOf(row) }
    case 'entitled':
    case 'stored':
      throw new Error(`A "${kind}" payment needs more than its row.`)
    default:
      return { kind }
  }
}

/** @param held The row once it is held again, of which only the id matters. */
export function entitledBy(row: Row, held: Row): KnownClaim {
  return {
    kind: 'entitled',
    id: claimId(number(held, 'id')),
    receipt: receiptOf(row),
    key: keyOf(row),
    asset: text(row, 'asset'),
  }
}

export function bodyOf(response: Row): Uint8Array {
  const { body } = response
  if (body instanceof Uint8Array) return body
  throw new Error('Column "body" holds no bytes.')
}

/** @param response Without its body. */
export function storedFor(row: Row, response: Row, now: number): KnownClaim {
  const isOurs = stateOf(row) === 'settled' && number(row, 'held_until') <= now
  return {
    kind: 'stored',
    id: isOurs ? claimId(number(row, 'id')) : null,
    receipt: receiptOf(row),
    key: keyOf(row),
    bodyBytes: number(response, 'body_bytes'),
    response: {
      status: number(response, 'status'),
      headers: texts(response, 'headers'),
      trailers: texts(response, 'trailers'),
      variant: text(response, 'variant'),
    },
  }
}

function keyOf(row: Row): PaymentKey {
  return text(row, 'payment_key') as PaymentKey // a claim wrote it from a PaymentKey
}

function texts(row: Row, column: string): string[] {
  return JSON.parse(text(row, column)) as string[] // responseValues wrote it from one
}

function existingClaim(row: Row): ExistingClaim {
  return {
    state: stateOf(row),
    fingerprint: text(row, 'fingerprint'),
    heldUntil: number(row, 'held_until'),
    settledAt: numberOrNull(row, 'settled_at'),
    responseUntil: numberOrNull(row, 'response_until'),
  }
}
