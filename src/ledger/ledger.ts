import type { AtomicAmount } from '../core/amount.ts'
import type { Fingerprint, NetworkId, PaymentKey, Receipt } from '../core/payment.ts'
import type { UnixMs } from '../core/time.ts'
import type { FreeRequests } from './free-requests.ts'

/**
 * Where a payment is. Each state is durable before the step after it begins:
 *
 *     forwarded -> settling -> settled -> delivered      settle: on-response
 *     settling -> settled -> delivered                   settle: before-upstream
 *        \-> released (nothing charged)   \-> unknown -> settled | released
 *
 * A claim is written together with the step that follows it, so that one fsync covers both.
 */
export type ClaimState = 'forwarded' | 'settling' | 'settled' | 'delivered' | 'released' | 'unknown'

/**
 * Names one hold on a payment, not the payment. Whoever takes a payment over gets a new id and the
 * old one is refused from then on, so that a request that outlived its hold can neither release nor
 * settle what its successor holds. Never changes while a row is `settling` or `unknown`.
 */
export type ClaimId = number & { readonly __brand: 'claim-id' }

/** Marks a number as a claim's id. For stores only: everybody else gets ids from `claim`. */
export function claimId(row: number): ClaimId {
  return row as ClaimId // the brand's only source
}

/** Everything that recovery needs: it never looks at today's configuration. */
export interface ClaimRequest {
  readonly key: PaymentKey
  readonly fingerprint: Fingerprint
  /** Route key as the YAML writes it. */
  readonly route: string
  readonly payer: string
  readonly network: NetworkId
  readonly asset: string
  readonly payTo: string
  readonly amount: AtomicAmount
  /** Unix seconds after which the chain refuses the payment. */
  readonly validBefore: number
  /** The exact JSON of the payload and of the requirements, as a settle will send them. */
  readonly payload: string
  readonly requirements: string
  /** The step taken right after the claim. */
  readonly next: 'forwarded' | 'settling'
  /** Until when nobody else may take the claim over, should this process die. */
  readonly heldUntil: UnixMs
  /** How long after its settlement an undelivered payment may be redeemed: then it is `used`. */
  readonly redeemableMs: number
  /**
   * The client's own name for what it buys (x402 extension payment-identifier); null for none. It
   * belongs to the payer: of all payments of one payer with one identifier, one is charged.
   */
  readonly identifier: string | null
}

/** What is asked of the ledger about a payment before it is claimed. */
export type RecallRequest = Pick<
  ClaimRequest,
  'key' | 'fingerprint' | 'heldUntil' | 'redeemableMs' | 'payer' | 'identifier'
>

/** A response as the client got it, to be given again. Header names and values stand in turn. */
export interface StoredResponse extends StoredHead {
  readonly body: Uint8Array
}

/** All of it but its body, which may be long. */
export interface StoredHead {
  readonly status: number
  readonly headers: readonly string[]
  readonly trailers: readonly string[]
  /** Digest of what else the request said that the response may depend on. */
  readonly variant: string
}

export type ClaimOutcome = { readonly kind: 'claimed'; readonly id: ClaimId } | KnownClaim

/** What a payment gets that was presented before and may not be claimed anew. */
export type KnownClaim =
  /**
   * Settled before, never delivered: this request redeems it without paying again. `key` and
   * `asset` are those of the payment that was settled, which may be another one with the same
   * identifier.
   */
  | {
      readonly kind: 'entitled'
      readonly id: ClaimId
      readonly receipt: Receipt
      readonly key: PaymentKey
      readonly asset: string
    }
  /**
   * Settled before, and its response was kept. `readBody(key)` gives its body, which is so long
   * that whoever asks may have to make room for it. `id` is for `markDelivered`, once the client
   * has it; null where that is said already, or somebody else's to say.
   */
  | {
      readonly kind: 'stored'
      readonly id: ClaimId | null
      readonly receipt: Receipt
      readonly key: PaymentKey
      readonly response: StoredHead
      readonly bodyBytes: number
    }
  /** Another request holds this payment now: `forwarded`, or `settled` and being delivered. */
  | { readonly kind: 'in-progress' }
  /** A settle has left and its fate is not known: `settling` or `unknown`, held or not. */
  | { readonly kind: 'settlement-pending' }
  /** It already bought this response. */
  | { readonly kind: 'used'; readonly receipt: Receipt }
  /**
   * It was spent on, or is held by, a request with another fingerprint. Says so in every state but
   * `released` and `forwarded` with its hold run out, and never hands out the other's receipt.
   */
  | { readonly kind: 'other-request' }
  /** The payer has used this identifier for a request with another fingerprint. */
  | { readonly kind: 'identifier-reused' }

/** A claim whose settlement is open, with all that recovery needs. */
export interface UnresolvedClaim {
  readonly id: ClaimId
  readonly key: PaymentKey
  readonly route: string
  readonly payer: string
  readonly network: NetworkId
  readonly asset: string
  readonly payTo: string
  readonly amount: AtomicAmount
  /** Unix seconds after which the chain refuses the payment. */
  readonly validBefore: number
  /** The exact JSON that the settle sent. */
  readonly payload: string
  readonly requirements: string
  readonly state: 'settling' | 'unknown'
  /** Hash that a facilitator named; null when it named none. */
  readonly transaction: string | null
  readonly createdAt: UnixMs
}

export interface LedgerQuery {
  /** Rows created at or after, and before. */
  readonly since?: UnixMs
  readonly until?: UnixMs
  readonly route?: string
  readonly payer?: string
  readonly states?: readonly ClaimState[]
  readonly after?: ClaimId
  /** From 1 to 1000. */
  readonly limit: number
}

export interface LedgerRow extends Omit<UnresolvedClaim, 'state'> {
  readonly state: ClaimState
  /** Why it is released or unknown. */
  readonly detail: string | null
  readonly updatedAt: UnixMs
  readonly settledAt: UnixMs | null
  readonly deliveredAt: UnixMs | null
  readonly identifier: string | null
}

/**
 * Remembers which payments have been used. The rest of a payment proves only that it was signed,
 * never that it has not been presented before; this is the only thing that can.
 *
 * Every method rejects with `StoreUnavailableError` when durability cannot be promised: what was
 * asked may or may not have been written then. A step from a state that does not allow it rejects
 * with `LedgerTransitionError` and changes nothing.
 */
export interface Ledger extends FreeRequests {
  /**
   * Takes a payment for one request.
   *
   * One atomic step: of any number of concurrent calls with the same key, exactly one sees
   * `claimed`. Asking first and writing second would let two through. A hold is over at `heldUntil`
   * itself.
   *
   * A row that is `released`, or `forwarded` with its hold run out (no settle was ever sent for
   * it), is taken over, whatever its fingerprint. A `settled` row whose hold has run out is
   * `entitled` for the same fingerprint until `redeemableMs` after its settlement, and held again
   * until `heldUntil`; later it is `used`. While its response is kept, it is `stored` instead.
   *
   * Another payment of the same payer with the same identifier answers for this one as if it were
   * the same, where the fingerprints name the same request (see `requestOf`). One that could be
   * taken over loses its claim for good and the identifier with it.
   */
  claim(request: ClaimRequest): Promise<ClaimOutcome>

  /**
   * What `claim` would say of a payment that was presented before, without claiming one that is
   * free. Asked before a facilitator is: it would call a spent payment invalid, and a client that
   * is told so pays a second time. `entitled` holds the payment just as it does in `claim`.
   */
  recall(request: RecallRequest): Promise<KnownClaim | { readonly kind: 'unclaimed' }>

  /** From `forwarded`: a settle is about to leave. */
  markSettling(id: ClaimId): Promise<void>

  /**
   * From `settling` or `unknown`: money moved. A second call with the same receipt changes nothing,
   * whether or not the response has been delivered since; one with another receipt is refused.
   */
  markSettled(id: ClaimId, receipt: Receipt): Promise<void>

  /**
   * From `settling`: a settle may have landed. From `unknown`: the resolver has found nothing out
   * yet. Ends the hold, so that the next resolver may take it now.
   *
   * @param transaction Hash that the facilitator named; null when it named none.
   */
  markUnknown(id: ClaimId, detail: string, transaction: string | null): Promise<void>

  /**
   * From `settled`: keeps the response, for whoever presents the payment again before `until`. One
   * that is there already is replaced.
   */
  keepResponse(id: ClaimId, response: StoredResponse, until: UnixMs): Promise<void>

  /** The body of a response that is kept; null where it is over meanwhile. */
  readBody(key: PaymentKey): Promise<Uint8Array | null>

  /** From `settled`: the client has the whole response. */
  markDelivered(id: ClaimId): Promise<void>

  /** From `settled`, not delivered: ends the hold, so that the same payment may redeem it now. */
  endHold(id: ClaimId): Promise<void>

  /**
   * Holds claims until `heldUntil` whose response takes longer than their hold: what is `settled`,
   * unless its hold was ended or somebody has taken it over. Never shortens a hold.
   *
   * @param request.ids At most 1000.
   * @returns Those that are still held for whoever asks; the others are not touched.
   */
  extendHolds(request: {
    readonly ids: readonly ClaimId[]
    readonly heldUntil: UnixMs
  }): Promise<readonly ClaimId[]>

  /**
   * From `forwarded`, `settling` or `unknown`: nothing was charged and nothing can be. The payment
   * is free again, for any request.
   */
  release(id: ClaimId, reason: string): Promise<void>

  /**
   * Takes claims whose settlement is open, for the resolver to finish: `settling` and `unknown`
   * whose hold has run out. Each is held until `heldUntil`, in the same atomic step, so that no
   * other gateway works on it meanwhile; its id stays. `markUnknown` ends the hold.
   *
   * Where there are more than `limit`, half are the youngest, rounded up, for which a client may
   * still wait, and half are the oldest: neither waits behind the other.
   *
   * @param request.limit From 1 to 1000.
   * @returns Oldest first.
   */
  takeUnresolved(request: {
    readonly limit: number
    readonly heldUntil: UnixMs
  }): Promise<readonly UnresolvedClaim[]>

  /** Releases every `forwarded` claim whose hold has run out: no settle was ever sent for it. */
  releaseAbandoned(): Promise<number>

  /**
   * Forgets final rows (`delivered`, `released`, and `settled` ones whose entitlement has ended)
   * last written before `olderThan`, never one whose authorization the chain could still take: it
   * must have run out before `olderThan`, and an hour ago. The newest claim always stays, and so
   * does one whose response is kept.
   *
   * @param request.limit From 1 to 1000.
   * @returns How many rows were removed; at most `limit`.
   */
  prune(request: { readonly olderThan: UnixMs; readonly limit: number }): Promise<number>

  /** Forgets responses that nobody can be given any more. Limit and answer are as in `prune`. */
  pruneResponses(request: { readonly limit: number }): Promise<number>

  /**
   * Rows for people and reports, by id; the next page begins after the last row's. A payment that
   * is taken over or redeemed between two pages gets a new id, and shows again on a later page.
   */
  list(query: LedgerQuery): Promise<readonly LedgerRow[]>

  /** How many rows are in each state. */
  countByState(): Promise<Readonly<Record<ClaimState, number>>>

  /** Finishes what was asked, then closes. */
  close(): Promise<void>
}

/** What reports may do. Such a ledger is opened without a right to write. */
export type LedgerReader = Pick<Ledger, 'list' | 'countByState' | 'close'>
