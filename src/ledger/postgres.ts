import type { ClientBase } from 'pg'
import type { PaymentKey, Receipt } from '../core/payment.ts'
import { type Clock, type UnixMs, unixMs } from '../core/time.ts'
import { StoreUnavailableError } from '../errors.ts'
import {
  checkedIds,
  checkedLimit,
  claimValues,
  responseValues,
  storableInteger,
} from './claim-row.ts'
import type { Step } from './claim-rules.ts'
import type {
  ClaimId,
  ClaimOutcome,
  ClaimRequest,
  ClaimState,
  KnownClaim,
  Ledger,
  LedgerQuery,
  LedgerRow,
  RecallRequest,
  StoredResponse,
  UnresolvedClaim,
} from './ledger.ts'
import { claimPayment, readBody, recallPayment, takeStep } from './postgres-claims.ts'
import { PostgresConnections } from './postgres-connections.ts'
import { pruneFreeRequests, takeFreeRequest } from './postgres-free-requests.ts'
import {
  countByState,
  extendHolds,
  listRows,
  pruneResponses,
  pruneRows,
  releaseAbandoned,
  takeUnresolved,
} from './postgres-upkeep.ts'
import { parsePostgresUrl } from './postgres-url.ts'

export interface PostgresLedgerOptions {
  /** As `parsePostgresUrl` reads it. */
  readonly url: string
  readonly clock?: Clock
  /** Connections of this process. Default 10. */
  readonly connectionsMax?: number
  /** Calls that may wait for one; one more is refused. Default 4,096. */
  readonly waitingMax?: number
  /** How long a connection may take to open. Default 3,000. */
  readonly connectTimeoutMs?: number
  /** How long a statement may take, and a call wait for a connection. Default 5,000. */
  readonly statementTimeoutMs?: number
}

/**
 * Opens a ledger in a PostgreSQL database, which any number of gateways may share.
 *
 * A database that is not there is waited for in the background: this resolves all the same, and
 * every call rejects with `StoreUnavailableError` until it is there. Rejects only with
 * `LedgerSchemaError` when a newer farebox wrote the schema, and with `StoreUnavailableError` when
 * the URL, or a file that it names, cannot be read.
 */
export async function openPostgresLedger(options: PostgresLedgerOptions): Promise<Ledger> {
  const parsed = parsePostgresUrl(options.url)
  if (parsed.kind === 'problem') {
    throw new StoreUnavailableError(`store.url ${parsed.message}.`, { fix: `${parsed.cure}.` })
  }
  const connections = new PostgresConnections(parsed.target, {
    connectionsMax: options.connectionsMax ?? 10,
    waitingMax: options.waitingMax ?? 4096,
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    statementTimeoutMs: options.statementTimeoutMs ?? 5000,
  })
  await connections.start()
  return new PostgresLedger(connections, options.clock ?? (() => unixMs(Date.now())))
}

class PostgresLedger implements Ledger {
  readonly #connections: PostgresConnections
  readonly #clock: Clock

  constructor(connections: PostgresConnections, clock: Clock) {
    this.#connections = connections
    this.#clock = clock
  }

  claim(request: ClaimRequest): Promise<ClaimOutcome> {
    const values = claimValues(request)
    return this.#run((client, now) => claimPayment(client, now, values))
  }

  recall(request: RecallRequest): Promise<KnownClaim | { readonly kind: 'unclaimed' }> {
    const asked = {
      ...request,
      heldUntil: storableInteger(request.heldUntil),
      redeemableMs: storableInteger(request.redeemableMs),
    }
    return this.#run((client, now) => recallPayment(client, { ...asked, now }))
  }

  markSettling(id: ClaimId): Promise<void> {
    return this.#step('settling', id)
  }

  markSettled(id: ClaimId, { transaction, network, payer, amount }: Receipt): Promise<void> {
    return this.#step('settled', id, transaction, network, payer, amount.toString())
  }

  markUnknown(id: ClaimId, detail: string, transaction: string | null): Promise<void> {
    return this.#step('unknown', id, detail, transaction)
  }

  keepResponse(id: ClaimId, response: StoredResponse, until: UnixMs): Promise<void> {
    const values = responseValues(response, until)
    return this.#run((client, now) => takeStep(client, now, { step: 'response kept', id, values }))
  }

  readBody(key: PaymentKey): Promise<Uint8Array | null> {
    return this.#run((client, now) => readBody(client, now, key))
  }

  markDelivered(id: ClaimId): Promise<void> {
    return this.#step('delivered', id)
  }

  endHold(id: ClaimId): Promise<void> {
    return this.#step('hold ended', id)
  }

  async extendHolds(request: {
    readonly ids: readonly ClaimId[]
    readonly heldUntil: UnixMs
  }): Promise<readonly ClaimId[]> {
    const ids = checkedIds(request.ids)
    const heldUntil = storableInteger(request.heldUntil)
    return this.#run((client, now) => extendHolds(client, now, { ids, heldUntil }))
  }

  release(id: ClaimId, reason: string): Promise<void> {
    return this.#step('released', id, reason)
  }

  async takeUnresolved(request: {
    readonly limit: number
    readonly heldUntil: UnixMs
  }): Promise<readonly UnresolvedClaim[]> {
    const limit = checkedLimit(request.limit)
    const heldUntil = storableInteger(request.heldUntil)
    return this.#run((client, now) => takeUnresolved(client, now, { limit, heldUntil }))
  }

  releaseAbandoned(): Promise<number> {
    return this.#run(releaseAbandoned)
  }

  async prune(request: { readonly olderThan: UnixMs; readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    const olderThan = storableInteger(request.olderThan)
    return this.#run((client, now) => pruneRows(client, now, { limit, olderThan }))
  }

  async pruneResponses(request: { readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    return this.#run((client, now) => pruneResponses(client, now, { limit }))
  }

  takeFreeRequest(request: {
    readonly name: string
    readonly until: UnixMs
    readonly requests: number
  }): Promise<number | null> {
    return this.#run(client => takeFreeRequest(client, request))
  }

  async pruneFreeRequests(request: { readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    return this.#run((client, now) => pruneFreeRequests(client, now, { limit }))
  }

  async list(query: LedgerQuery): Promise<readonly LedgerRow[]> {
    checkedLimit(query.limit)
    return this.#run(client => listRows(client, query))
  }

  countByState(): Promise<Readonly<Record<ClaimState, number>>> {
    return this.#run(countByState)
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  #step(step: Step, id: ClaimId, ...values: (string | null)[]): Promise<void> {
    return this.#run((client, now) => takeStep(client, now, { step, id, values }))
  }

  #run<Answer>(work: (client: ClientBase, now: number) => Promise<Answer>): Promise<Answer> {
    const now = this.#clock()
    return this.#connections.run(client => work(client, now))
  }
}
