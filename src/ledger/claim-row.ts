import { atomicAmount } from '../core/amount.ts'
import type { NetworkId, PaymentKey, Receipt } from '../core/payment.ts'
import { unixMs } from '../core/time.ts'
import {
  type ClaimId,
  type ClaimRequest,
  type ClaimState,
  claimId,
  type LedgerRow,
  type StoredResponse,
  type UnresolvedClaim,
} from './ledger.ts'
import { LedgerValueError } from './ledger-errors.ts'

/** A row of `claims` as a driver gives it, whose columns have the same names in every store. */
export type Row = Readonly<Record<string, unknown>>

/** Which columns a claim writes, in the order in which `claimValues` gives them. */
const REQUEST_COLUMNS = [
  ...['payment_key', 'fingerprint', 'route', 'payer', 'network', 'asset', 'pay_to', 'amount'],
  ...['valid_before', 'payload', 'requirements', 'state', 'held_until', 'redeemable_ms'],
  'identifier',
]
/** As `claimValues`, followed by the time twice. */
export const CLAIM_COLUMNS: readonly string[] = [...REQUEST_COLUMNS, 'created_at', 'updated_at']

/** What a takeover empties. */
export const LEFT_BY_AN_EARLIER_CLAIM: readonly string[] = [
  ...['transaction_hash', 'receipt_network', 'receipt_payer', 'receipt_amount', 'detail'],
  ...['settled_at', 'delivered_at', 'response_until'],
]

/** What is read of a response before its body is asked for: no store opens a body for this. */
export const RESPONSE_HEAD = 'status, headers, trailers, variant, length(body) AS body_bytes'

/** What a response writes, in the order in which `responseValues` gives them. */
export const RESPONSE_COLUMNS: readonly string[] = [
  ...['until', 'status', 'headers', 'trailers', 'variant', 'body'],
]

/** Most rows that one call may ask for, so that none of them keeps payments waiting. */
const ROWS_MAX = 1000

/** Why a claim is released that nobody finished. */
export const ABANDONED = 'abandoned: no settle was sent before its hold ran out'

export type ClaimValues = readonly [
  key: string,
  fingerprint: string,
  route: string,
  payer: string,
  network: string,
  asset: string,
  payTo: string,
  amount: string,
  validBefore: number,
  payload: string,
  requirements: string,
  next: 'forwarded' | 'settling',
  heldUntil: number,
  redeemableMs: number,
  identifier: string | null,
]

export type ResponseValues = readonly [
  until: number,
  status: number,
  headers: string,
  trailers: string,
  variant: string,
  body: Uint8Array,
]

export function claimValues(request: ClaimRequest): ClaimValues {
  return [
    request.key,
    request.fingerprint,
    request.route,
    request.payer,
    request.network,
    request.asset,
    request.payTo,
    request.amount.toString(),
    storableInteger(request.validBefore),
    request.payload,
    request.requirements,
    request.next,
    storableInteger(request.heldUntil),
    storableInteger(request.redeemableMs),
    request.identifier,
  ]
}

export function responseValues(response: StoredResponse, until: number): ResponseValues {
  const { status, headers, trailers, variant, body } = response
  const names = [JSON.stringify(headers), JSON.stringify(trailers)] as const
  return [storableInteger(until), status, ...names, variant, body]
}

/** No clock reaches it, and the integers of neither JavaScript nor a database reach beyond it. */
export function storableInteger(value: number): number {
  return Math.min(value, Number.MAX_SAFE_INTEGER)
}

/** Throws `LedgerValueError`. */
export function checkedLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= ROWS_MAX) return limit
  throw new LedgerValueError(
    `a limit of ${limit}, which is not a whole number from 1 to ${ROWS_MAX}.`,
  )
}

/** How many of the youngest and of the oldest open claims are taken. */
export function shareOut(limit: number): { readonly youngest: number; readonly oldest: number } {
  const oldest = Math.floor(limit / 2)
  return { youngest: limit - oldest, oldest }
}

/** Throws `LedgerValueError`. */
export function checkedIds(ids: readonly ClaimId[]): readonly ClaimId[] {
  if (ids.length <= ROWS_MAX) return ids
  throw new LedgerValueError(`${ids.length} claims at once, which is more than ${ROWS_MAX}.`)
}

export function receiptOf(row: Row): Receipt {
  return {
    transaction: text(row, 'transaction_hash'),
    network: text(row, 'receipt_network') as NetworkId, // markSettled wrote it from a NetworkId
    payer: text(row, 'receipt_payer'),
    amount: atomicAmount(BigInt(text(row, 'receipt_amount'))),
  }
}

/** Whether a row was settled with exactly this receipt. */
export function hasReceipt(row: Row, receipt: readonly unknown[]): boolean {
  const columns = ['transaction_hash', 'receipt_network', 'receipt_payer', 'receipt_amount']
  if (row['settled_at'] === null) return false
  return columns.every((column, index) => row[column] === receipt[index])
}

export function unresolvedClaim(row: Row): UnresolvedClaim {
  const state = stateOf(row)
  if (state !== 'settling' && state !== 'unknown') throw new Error(`A "${state}" row was taken.`)
  return { ...claimOf(row), state }
}

export function ledgerRow(row: Row): LedgerRow {
  const settledAt = numberOrNull(row, 'settled_at')
  const deliveredAt = numberOrNull(row, 'delivered_at')
  return {
    ...claimOf(row),
    state: stateOf(row),
    detail: textOrNull(row, 'detail'),
    updatedAt: unixMs(number(row, 'updated_at')),
    settledAt: settledAt === null ? null : unixMs(settledAt),
    deliveredAt: deliveredAt === null ? null : unixMs(deliveredAt),
    identifier: textOrNull(row, 'identifier'),
  }
}

function claimOf(row: Row): Omit<UnresolvedClaim, 'state'> {
  return {
    id: claimId(number(row, 'id')),
    key: text(row, 'payment_key') as PaymentKey, // a claim wrote it from a PaymentKey
    route: text(row, 'route'),
    payer: text(row, 'payer'),
    network: text(row, 'network') as NetworkId, // a claim wrote it from a NetworkId
    asset: text(row, 'asset'),
    payTo: text(row, 'pay_to'),
    amount: atomicAmount(BigInt(text(row, 'amount'))),
    validBefore: number(row, 'valid_before'),
    payload: text(row, 'payload'),
    requirements: text(row, 'requirements'),
    transaction: textOrNull(row, 'transaction_hash'),
    createdAt: unixMs(number(row, 'created_at')),
  }
}

export function stateOf(row: Row): ClaimState {
  return text(row, 'state') as ClaimState // the table's CHECK allows nothing else
}

export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`Column "${column}" holds no text.`)
  return value
}

export function number(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new Error(`Column "${column}" holds no number.`)
  return value
}

function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column)
}

export function numberOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : number(row, column)
}
