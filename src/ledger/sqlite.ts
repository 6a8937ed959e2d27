import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PaymentKey, Receipt } from '../core/payment.ts'
import { type Clock, type UnixMs, unixMs } from '../core/time.ts'
import { StoreUnavailableError } from '../errors.ts'
import { BatchQueue } from './batch-queue.ts'
import {
  checkedIds,
  checkedLimit,
  claimValues,
  responseValues,
  storableInteger,
} from './claim-row.ts'
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
import { LedgerSchemaError, LedgerTransitionError, LedgerValueError } from './ledger-errors.ts'
import type {
  SqliteAnswer,
  SqliteCall,
  SqliteFailure,
  SqliteReply,
  SqliteRequest,
  SqliteWorkerOptions,
} from './sqlite-protocol.ts'
import { listCall } from './sqlite-reports.ts'

export interface SqliteLedgerOptions {
  /** File, created with its directory where missing; or ":memory:", which survives nothing. */
  readonly path: string
  readonly clock?: Clock
  /** How long another process's write lock is waited for. Default 2,000. */
  readonly lockWaitMs?: number
  /** Calls that may wait for the disk; one more is refused. Default 4,096. */
  readonly waitingMax?: number
  /** After how long without an answer the disk is taken to hang. Default 10,000. */
  readonly stallMs?: number
}

/** The thread that owns the database, as far as a ledger talks with it. A `Worker` is one. */
export interface LedgerThread {
  postMessage(request: SqliteRequest): void
  on(event: 'message', listener: (reply: SqliteReply) => void): unknown
  on(event: 'error', listener: (cause: unknown) => void): unknown
  once(event: 'exit', listener: () => void): unknown
  terminate(): unknown
}

/** Bounds how long one transaction keeps its first call waiting. */
const BATCH_MAX = 512

/**
 * Opens a ledger in a SQLite file.
 *
 * Rejects with `StoreUnavailableError` when the file cannot be used, and with `LedgerSchemaError`
 * when a newer farebox wrote it. Several processes of one machine may open the same file.
 */
export async function openSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger> {
  const { path, lockWaitMs = 2000 } = options
  const worker = startWorker({ path, lockWaitMs })
  const reply = await firstReply(worker)
  if (reply.kind === 'not-opened') {
    await worker.terminate()
    throw errorFrom(reply.failure, path)
  }
  return ledgerOver(worker, options)
}

/** @param thread Has opened the database already. */
export function ledgerOver(thread: LedgerThread, options: SqliteLedgerOptions): Ledger {
  return new SqliteLedger(thread, options)
}

function startWorker(workerData: SqliteWorkerOptions): Worker {
  // Type stripping runs the sources as they are; a build has only the compiled file.
  const file = import.meta.url.endsWith('.ts')
    ? new URL('./sqlite-worker.ts', import.meta.url)
    : new URL('./sqlite-worker.js', import.meta.url)
  return new Worker(file, {
    name: 'ledger',
    workerData,
    // Node 24 still warns that node:sqlite may change; its version is pinned by our tests.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
}

async function firstReply(worker: Worker): Promise<SqliteReply> {
  const exited = once(worker, 'exit')
  try {
    const [reply] = await Promise.race([once(worker, 'message'), exited.then(() => [null])])
    if (reply !== null) return reply
  } catch (cause) {
    throw workerDied(cause)
  }
  throw workerDied(null)
}

class SqliteLedger implements Ledger {
  readonly #thread: LedgerThread
  readonly #exited: Promise<unknown>
  readonly #path: string
  readonly #clock: Clock
  readonly #stallMs: number
  readonly #queue: BatchQueue<SqliteCall, SqliteAnswer>
  #closing: Promise<void> | null = null

  constructor(thread: LedgerThread, options: SqliteLedgerOptions) {
    const { path, waitingMax = 4096, stallMs = 10_000 } = options
    this.#thread = thread
    this.#path = path
    this.#clock = options.clock ?? (() => unixMs(Date.now()))
    this.#stallMs = stallMs
    const send = (batch: SqliteRequest) => thread.postMessage(batch)
    this.#queue = new BatchQueue({ send, waitingMax, batchMax: BATCH_MAX, stallMs })
    thread.on('message', (reply: SqliteReply) => this.#receive(reply))
    thread.on('error', cause => this.#queue.end(workerDied(cause)))
    this.#exited = new Promise(resolve => thread.once('exit', () => resolve(null)))
    this.#exited.then(() => this.#queue.end(workerDied(null)))
  }

  claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.#submit<ClaimOutcome>(['claim', this.#clock(), ...claimValues(request)])
  }

  recall(request: RecallRequest): Promise<KnownClaim | { readonly kind: 'unclaimed' }> {
    const { key, fingerprint, payer, identifier } = request
    const times = [
      storableInteger(request.heldUntil),
      storableInteger(request.redeemableMs),
    ] as const
    return this.#submit(['recall', this.#clock(), key, fingerprint, ...times, payer, identifier])
  }

  markSettling(id: ClaimId): Promise<void> {
    return this.#submit(['settling', this.#clock(), id])
  }

  markSettled(id: ClaimId, receipt: Receipt): Promise<void> {
    const { transaction, network, payer, amount } = receipt
    const call = ['settled', this.#clock(), id, transaction, network, payer, `${amount}`] as const
    return this.#submit(call)
  }

  markUnknown(id: ClaimId, detail: string, transaction: string | null): Promise<void> {
    return this.#submit(['unknown', this.#clock(), id, detail, transaction])
  }

  keepResponse(id: ClaimId, response: StoredResponse, until: UnixMs): Promise<void> {
    return this.#submit(['keep response', this.#clock(), id, ...responseValues(response, until)])
  }

  readBody(key: PaymentKey): Promise<Uint8Array | null> {
    return this.#submit<Uint8Array | null>(['read body', this.#clock(), key])
  }

  markDelivered(id: ClaimId): Promise<void> {
    return this.#submit(['delivered', this.#clock(), id])
  }

  endHold(id: ClaimId): Promise<void> {
    return this.#submit(['hold ended', this.#clock(), id])
  }

  async extendHolds(request: {
    readonly ids: readonly ClaimId[]
    readonly heldUntil: UnixMs
  }): Promise<readonly ClaimId[]> {
    const ids = JSON.stringify(checkedIds(request.ids))
    return this.#submit(['extend', this.#clock(), storableInteger(request.heldUntil), ids])
  }

  release(id: ClaimId, reason: string): Promise<void> {
    return this.#submit(['released', this.#clock(), id, reason])
  }

  async takeUnresolved(request: {
    readonly limit: number
    readonly heldUntil: UnixMs
  }): Promise<readonly UnresolvedClaim[]> {
    const limit = checkedLimit(request.limit)
    return this.#submit(['take', this.#clock(), storableInteger(request.heldUntil), limit])
  }

  releaseAbandoned(): Promise<number> {
    return this.#submit<number>(['abandon', this.#clock()])
  }

  async prune(request: { readonly olderThan: UnixMs; readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    const olderThan = storableInteger(request.olderThan)
    return this.#submit<number>(['prune', this.#clock(), olderThan, limit])
  }

  async pruneResponses(request: { readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    return this.#submit<number>(['prune responses', this.#clock(), limit])
  }

  takeFreeRequest(request: {
    readonly name: string
    readonly until: UnixMs
    readonly requests: number
  }): Promise<number | null> {
    const { name, until, requests } = request
    return this.#submit<number | null>(['take free', name, until, requests])
  }

  async pruneFreeRequests(request: { readonly limit: number }): Promise<number> {
    const limit = checkedLimit(request.limit)
    return this.#submit<number>(['prune free', this.#clock(), limit])
  }

  async list(query: LedgerQuery): Promise<readonly LedgerRow[]> {
    return this.#submit(listCall(query))
  }

  countByState(): Promise<Readonly<Record<ClaimState, number>>> {
    return this.#submit<Readonly<Record<ClaimState, number>>>(['count'])
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = new StoreUnavailableError('The ledger is closed.', {
      fix: 'Close the ledger only after the last request has ended.',
    })
    await this.#queue.drain(closed)
    this.#thread.postMessage('close' satisfies SqliteRequest)
    const hung = setTimeout(() => this.#thread.terminate(), this.#stallMs)
    await this.#exited
    clearTimeout(hung)
  }

  #submit<Answer>(call: SqliteCall): Promise<Answer> {
    const answer: Promise<unknown> = this.#queue.submit(call)
    return answer as Promise<Answer> // the worker answers each kind of call with its own kind
  }

  #receive(reply: SqliteReply): void {
    if (reply.kind === 'committed') {
      const failed = reply.failures.map(
        ([index, failure]) => [index, errorFrom(failure, this.#path)] as const,
      )
      this.#queue.settle(reply.answers, failed)
    } else if (reply.kind === 'not-committed') {
      this.#queue.reject(errorFrom(reply.failure, this.#path))
    }
  }
}

function workerDied(cause: unknown): StoreUnavailableError {
  const message = "The ledger's thread has ended."
  return new StoreUnavailableError(message, { fix: 'Restart farebox.', cause })
}

function errorFrom(failure: SqliteFailure, path: string): Error {
  switch (failure.kind) {
    case 'unavailable':
      return new StoreUnavailableError(failure.message, { fix: failure.fix })
    case 'transition':
      return new LedgerTransitionError(failure.step, failure.id, failure.state)
    case 'value':
      return new LedgerValueError(failure.detail)
    case 'newer-schema':
      return new LedgerSchemaError(path, failure)
  }
}
