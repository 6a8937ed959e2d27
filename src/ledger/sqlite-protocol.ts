import type { ClaimValues, ResponseValues } from './claim-row.ts'
import type { ClaimId, ClaimOutcome, ClaimState, LedgerRow, UnresolvedClaim } from './ledger.ts'

/**
 * What the main thread and the SQLite worker say to each other. Arrays, because copying them
 * between threads costs the main thread less than copying objects with named fields.
 */
export type SqliteCall =
  | ClaimCall
  | RecallCall
  | StepCall
  | KeepCall
  | BodyCall
  | UpkeepCall
  | FreeCall

export type ClaimCall = readonly [kind: 'claim', now: number, ...values: ClaimValues]

export type RecallCall = readonly [
  kind: 'recall',
  now: number,
  key: string,
  fingerprint: string,
  heldUntil: number,
  redeemableMs: number,
  payer: string,
  identifier: string | null,
]

export type StepCall = SettledCall | ReasonedCall | KeptCall | PlainCall

export type BodyCall = readonly [kind: 'read body', now: number, key: string]

export type KeepCall = readonly [
  kind: 'keep response',
  now: number,
  id: number,
  ...values: ResponseValues,
]

export type SettledCall = readonly [
  kind: 'settled',
  now: number,
  id: number,
  transaction: string,
  network: string,
  payer: string,
  amount: string,
]

type ReasonedCall =
  | readonly [kind: 'unknown', now: number, id: number, detail: string, transaction: string | null]
  | readonly [kind: 'released', now: number, id: number, detail: string]

type KeptCall = readonly [kind: 'response kept', now: number, id: number, until: number]

type PlainCall = readonly [kind: 'settling' | 'delivered' | 'hold ended', now: number, id: number]

export type UpkeepCall =
  | readonly [kind: 'take', now: number, heldUntil: number, limit: number]
  /** `ids` is a JSON array. */
  | readonly [kind: 'extend', now: number, heldUntil: number, ids: string]
  | readonly [kind: 'abandon', now: number]
  | readonly [kind: 'prune', now: number, olderThan: number, limit: number]
  | readonly [kind: 'prune responses', now: number, limit: number]
  | ListCall
  | readonly [kind: 'count']

export type FreeCall =
  | readonly [kind: 'take free', name: string, until: number, requests: number]
  | readonly [kind: 'prune free', now: number, limit: number]

/** Null where a filter is not asked for. */
export type ListCall = readonly [
  kind: 'list',
  after: number,
  since: number,
  until: number,
  route: string | null,
  payer: string | null,
  /** A JSON array. */
  states: string | null,
  limit: number,
]

/** Null where there is nothing to say but that it is durable. */
export type SqliteAnswer =
  | ClaimOutcome
  | { readonly kind: 'unclaimed' }
  | Readonly<Record<ClaimState, number>>
  | readonly UnresolvedClaim[]
  | readonly ClaimId[]
  | readonly LedgerRow[]
  | Uint8Array
  | number
  | null

/** An error's parts, because an error class does not survive the way between threads. */
export type SqliteFailure =
  | { readonly kind: 'unavailable'; readonly message: string; readonly fix: string }
  | {
      readonly kind: 'transition'
      readonly step: string
      readonly id: number
      readonly state: ClaimState | null
    }
  | { readonly kind: 'value'; readonly detail: string }
  | { readonly kind: 'newer-schema'; readonly found: number; readonly known: number }

/** To the worker. */
export type SqliteRequest = readonly SqliteCall[] | 'close'

/** From the worker: once `opened` or `not-opened`, then one reply to each batch. */
export type SqliteReply =
  | { readonly kind: 'opened' }
  | { readonly kind: 'not-opened'; readonly failure: SqliteFailure }
  | {
      readonly kind: 'committed'
      /** One for each call, in their order. */
      readonly answers: readonly SqliteAnswer[]
      /** Calls that changed nothing while the rest was committed: place in the batch, and why. */
      readonly failures: readonly (readonly [index: number, failure: SqliteFailure])[]
    }
  /** Nothing of the batch was committed, as far as can be told. */
  | { readonly kind: 'not-committed'; readonly failure: SqliteFailure }

export interface SqliteWorkerOptions {
  readonly path: string
  /** How long another process's write lock is waited for. */
  readonly lockWaitMs: number
}
