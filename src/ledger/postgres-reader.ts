import type { ClientBase, Pool } from 'pg'
import { FareboxError, StoreUnavailableError } from '../errors.ts'
import { checkedLimit } from './claim-row.ts'
import type { ClaimState, LedgerQuery, LedgerReader, LedgerRow } from './ledger.ts'
import { LedgerMissingError, LedgerOlderError, LedgerSchemaError } from './ledger-errors.ts'
import { diagnosePostgres } from './postgres-errors.ts'
import { createPool, prepareSession } from './postgres-pool.ts'
import { KNOWN_VERSION, schemaVersion } from './postgres-schema.ts'
import { countByState, listRows } from './postgres-upkeep.ts'
import { type PostgresTarget, parsePostgresUrl } from './postgres-url.ts'

/** A report reads its pages one after the other; reconcile asks for some rows again meanwhile. */
const LIMITS = { connectionsMax: 4, connectTimeoutMs: 5000, statementTimeoutMs: 30_000 }

/**
 * Opens the ledger in a PostgreSQL database to read it, on a standby too. Its sessions may not
 * write, and no schema is made or brought up to date.
 *
 * Rejects with `StoreUnavailableError` when the database cannot be asked, with `LedgerMissingError`
 * when it has no ledger, and with `LedgerOlderError` and `LedgerSchemaError` when it has another
 * farebox's.
 */
export async function openPostgresReader({ url }: { readonly url: string }): Promise<LedgerReader> {
  const parsed = parsePostgresUrl(url)
  if (parsed.kind === 'problem') {
    throw new StoreUnavailableError(`store.url ${parsed.message}.`, { fix: `${parsed.cure}.` })
  }
  const { target } = parsed
  const reader = new PostgresReader(target, createPool(target, LIMITS))
  try {
    await reader.refuseOtherSchemas()
    return reader
  } catch (error) {
    await reader.close()
    throw error
  }
}

class PostgresReader implements LedgerReader {
  readonly #target: PostgresTarget
  readonly #pool: Pool
  readonly #prepared = new WeakSet<ClientBase>()

  constructor(target: PostgresTarget, pool: Pool) {
    this.#target = target
    this.#pool = pool
  }

  async refuseOtherSchemas(): Promise<void> {
    const { name } = this.#target
    const [found, known] = [await this.#read(schemaVersion), KNOWN_VERSION]
    if (found === 0) throw new LedgerMissingError(`${name} is a database without a ledger`)
    if (found < known) throw new LedgerOlderError(name, { found, known })
    if (found > known) throw new LedgerSchemaError(name, { found, known })
  }

  async list(query: LedgerQuery): Promise<readonly LedgerRow[]> {
    checkedLimit(query.limit)
    return this.#read(client => listRows(client, query))
  }

  countByState(): Promise<Readonly<Record<ClaimState, number>>> {
    return this.#read(countByState)
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  async #read<Answer>(work: (client: ClientBase) => Promise<Answer>): Promise<Answer> {
    try {
      const client = await this.#pool.connect()
      try {
        if (!this.#prepared.has(client)) {
          await prepareSession(client, LIMITS)
          await client.query('SET default_transaction_read_only = on')
          this.#prepared.add(client)
        }
        const answer = await work(client)
        client.release()
        return answer
      } catch (error) {
        client.release(true)
        throw error
      }
    } catch (error) {
      throw error instanceof FareboxError ? error : diagnosePostgres(error, this.#target).error
    }
  }
}
