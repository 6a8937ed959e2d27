import { setTimeout as pause } from 'node:timers/promises'
import type { ClientBase, Pool, PoolClient } from 'pg'
import { FareboxError, StoreUnavailableError } from '../errors.ts'
import { LedgerSchemaError } from './ledger-errors.ts'
import { diagnosePostgres, type PostgresDiagnosis, sickness } from './postgres-errors.ts'
import { createPool, type PoolLimits, prepareSession } from './postgres-pool.ts'
import { KNOWN_VERSION, migrate, schemaVersion } from './postgres-schema.ts'
import type { PostgresTarget } from './postgres-url.ts'
import { Turnstile } from './turnstile.ts'

export interface PostgresConnectionOptions extends PoolLimits {
  readonly waitingMax: number
}

/** A statement that was undone because of another is tried so often. */
const TRIES_MAX = 5
/** Between two tries to get the database back. */
const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 2000
/** For how long we make do with the connections that a crowded server has left us. */
const CROWDED_MS = 5000
/** For how long `start` waits for a server that does not even refuse. */
const START_MS = 2000
const CLOSE_MS = 10_000

/** The server had no connection left for this call, but we have some that it may wait for. */
class CrowdedOut extends Error {}

/**
 * The connections to one database: ready, or being got back in the background while every call is
 * refused at once, so that no request waits for a database that is not there.
 */
export class PostgresConnections {
  readonly #target: PostgresTarget
  readonly #options: PostgresConnectionOptions
  readonly #pool: Pool
  readonly #turnstile: Turnstile
  /** After how many losses each connection was made: one made before the last may be dead. */
  readonly #madeAfter = new WeakMap<ClientBase, number>()
  #losses = 0
  /** Why calls are refused; null when they are not. */
  #failure: FareboxError | null = null
  #wasReady = false
  #recovery: Promise<void> | null = null
  readonly #firstAttempt = Promise.withResolvers<void>()
  readonly #stop = new AbortController()
  #closing: Promise<void> | null = null

  /** Throws `StoreUnavailableError` when a file that the target names cannot be read. */
  constructor(target: PostgresTarget, options: PostgresConnectionOptions) {
    const { connectionsMax: insideMax, waitingMax, statementTimeoutMs: waitMs } = options
    this.#target = target
    this.#options = options
    this.#pool = createPool(target, options)
    this.#turnstile = new Turnstile({ insideMax, waitingMax, waitMs })
  }

  /**
   * Resolves when the database is ready, or known not to be: it is got in the background then.
   *
   * Rejects with `LedgerSchemaError` when a newer farebox wrote the schema.
   */
  async start(): Promise<void> {
    const error = new StoreUnavailableError(
      `PostgreSQL at ${this.#target.name} is not ready yet.`,
      {
        fix: 'Wait: farebox connects to it and brings its schema up to date.',
      },
    )
    this.#goDown(error)
    const enough = new AbortController()
    const waited = pause(START_MS, undefined, { signal: enough.signal }).catch(() => undefined)
    await Promise.race([this.#firstAttempt.promise, waited])
    enough.abort()
    const failure: FareboxError | null = this.#failure
    if (!(failure instanceof LedgerSchemaError)) return
    await this.close()
    throw failure
  }

  /**
   * Does `work` on a connection. It is done again when the server undid it because of another
   * statement; what it throws is told as a `FareboxError`.
   */
  async run<Answer>(work: (client: ClientBase) => Promise<Answer>): Promise<Answer> {
    for (;;) {
      this.#refuseWhileDown()
      await this.#turnstile.enter()
      try {
        return await this.#perform(work)
      } catch (error) {
        if (!(error instanceof CrowdedOut)) throw error
      } finally {
        this.#turnstile.leave()
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    const closed = new StoreUnavailableError('The ledger is closed.', {
      fix: 'Close the ledger only after the last request has ended.',
    })
    await this.#turnstile.drain(closed)
    const enough = new AbortController()
    const waited = pause(CLOSE_MS, undefined, { signal: enough.signal }).catch(() => undefined)
    await Promise.race([this.#pool.end(), waited])
    enough.abort()
  }

  async #perform<Answer>(work: (client: ClientBase) => Promise<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      this.#refuseWhileDown()
      const client = await this.#connectOrGoDown()
      try {
        const answer = await work(client)
        client.release()
        return answer
      } catch (error) {
        const { remedy, error: told } = this.#diagnose(error)
        if (remedy === 'drop-connection') this.#losses += 1
        client.release(remedy === 'drop-connection')
        if (remedy !== 'try-again' || tries === TRIES_MAX) throw told
      }
    }
  }

  #refuseWhileDown(): void {
    if (this.#failure === null) return
    const { message, fix } = this.#failure
    throw new StoreUnavailableError(message, { fix })
  }

  async #connectOrGoDown(): Promise<PoolClient> {
    try {
      return await this.#connect()
    } catch (error) {
      const { crowded, error: told } = this.#diagnose(error)
      if (crowded && this.#pool.totalCount > 0) {
        this.#makeDo(this.#pool.totalCount)
        throw new CrowdedOut()
      }
      this.#goDown(told)
      throw told
    }
  }

  /** A connection that is fit for claims. Throws what pg throws, or a `FareboxError`. */
  async #connect(): Promise<PoolClient> {
    for (;;) {
      const client = await this.#pool.connect()
      const madeAfter = this.#madeAfter.get(client)
      if (madeAfter === this.#losses) return client
      if (madeAfter !== undefined) {
        client.release(true)
        continue
      }
      const losses = this.#losses
      try {
        const writable = await prepareSession(client, this.#options)
        if (!writable) throw sickness('read-only', this.#target)
      } catch (error) {
        client.release(true)
        throw error
      }
      this.#madeAfter.set(client, losses)
      return client
    }
  }

  #makeDo(connections: number): void {
    this.#turnstile.allow(connections)
    setTimeout(() => this.#turnstile.allow(this.#options.connectionsMax), CROWDED_MS).unref()
  }

  #goDown(error: FareboxError): void {
    this.#failure = error
    this.#recovery ??= this.#recover()
  }

  async #recover(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; failures += 1) {
      try {
        await this.#becomeReady()
        this.#failure = null
        this.#recovery = null
        return this.#firstAttempt.resolve()
      } catch (error) {
        this.#failure = this.#diagnose(error).error
        this.#firstAttempt.resolve()
      }
      await pause(backoffMs(failures), undefined, { signal: this.#stop.signal, ref: false }).catch(
        () => undefined,
      )
    }
  }

  async #becomeReady(): Promise<void> {
    const client = await this.#connect()
    try {
      const found = await schemaVersion(client)
      const known = KNOWN_VERSION
      if (found > known) throw new LedgerSchemaError(this.#target.name, { found, known })
      // Another database in its place would have forgotten every payment that was used.
      if (found < known && this.#wasReady) throw sickness('lost-tables', this.#target)
      if (found < known) await migrate(client)
      this.#wasReady = true
      client.release()
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  #diagnose(error: unknown): PostgresDiagnosis {
    if (error instanceof FareboxError) {
      return { remedy: 'keep-connection', error, crowded: false }
    }
    return diagnosePostgres(error, this.#target)
  }
}

/** Spread, so that gateways that lost it together do not come back together. */
function backoffMs(failures: number): number {
  const full = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10))
  return full / 2 + (Math.random() * full) / 2
}
