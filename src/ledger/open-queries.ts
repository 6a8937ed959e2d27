import type { QueryConfig } from 'pg'
import type { StoreConfig } from '../config/gateway-config.ts'
import { parsePostgresUrl } from './postgres-url.ts'

/** Statements in the store's database that have nothing to do with payments. */
export interface Queries {
  /** Rejects with `StoreUnavailableError` at once while the database is away. */
  query(statement: QueryConfig): Promise<{ readonly rows: unknown[] }>
  close(): Promise<void>
}

/** Of its own, so that whatever is asked here takes no connection from a payment. */
const LIMITS = {
  connectionsMax: 2,
  waitingMax: 1000,
  connectTimeoutMs: 3000,
  statementTimeoutMs: 1000,
}

/** Null: the store is not a database that others could ask too. */
export async function openQueries(store: StoreConfig): Promise<Queries | null> {
  const parsed = store.kind === 'postgres' ? parsePostgresUrl(store.url) : null
  if (parsed?.kind !== 'target') return null
  const { PostgresConnections } = await import('./postgres-connections.ts')
  const connections = new PostgresConnections(parsed.target, LIMITS)
  await connections.start()
  return {
    query: statement => connections.run(client => client.query(statement)),
    close: () => connections.close(),
  }
}
