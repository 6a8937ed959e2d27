import type { ClientBase } from 'pg'
import { POSTGRES_MIGRATIONS } from './migrations/postgres.ts'

export const KNOWN_VERSION = POSTGRES_MIGRATIONS.length

/** Names our lock among the advisory locks that others may take in the same database. */
const LOCK_ID = 8_402_402_402
/** Longer than any migration takes, or waits for the one of another gateway. */
const MIGRATION_MS = 600_000

/** How many migrations a database has had; 0 where farebox never was. */
export async function schemaVersion(client: ClientBase): Promise<number> {
  const there = await client.query("SELECT to_regclass('farebox_schema') IS NOT NULL AS there")
  if (there.rows[0]?.there !== true) return 0
  return newestVersion(client)
}

/**
 * Brings the schema up to date. Of many gateways that start together one does, while the others
 * wait for its lock and find nothing left to do. A failure undoes all of it.
 */
export async function migrate(client: ClientBase): Promise<void> {
  await client.query('BEGIN')
  await client.query(`SET LOCAL statement_timeout = ${MIGRATION_MS}`)
  await client.query(patient(`SELECT pg_advisory_xact_lock(${LOCK_ID})`))
  // Looks for the table anew; a question for its name could still be answered from before the wait.
  await client.query('CREATE TABLE IF NOT EXISTS farebox_schema (version INTEGER PRIMARY KEY)')
  const version = await newestVersion(client)
  const missing = POSTGRES_MIGRATIONS.slice(version)
  for (const [index, sql] of missing.entries()) {
    await client.query(patient(sql))
    await client.query('INSERT INTO farebox_schema VALUES ($1)', [version + index + 1])
  }
  await client.query('COMMIT')
}

async function newestVersion(client: ClientBase): Promise<number> {
  const { rows } = await client.query('SELECT max(version) AS version FROM farebox_schema')
  return Number(rows[0]?.version)
}

/** pg gives up waiting for an answer by this, whatever the server was told. */
function patient(text: string): { readonly text: string; readonly query_timeout: number } {
  return { text, query_timeout: MIGRATION_MS }
}
