import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimState, Ledger, LedgerRow } from '../../src/ledger/ledger.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import type { TestPostgres } from '../support/postgres.ts'
import type { SlowLine } from './slow-line.ts'

/** The ledger of a gateway, seen from outside. */
export interface Books {
  /** For the configuration. */
  readonly url: string
  /** States by nonce, read past farebox's own code and without touching anything. */
  states(): Promise<ReadonlyMap<string, ClaimState>>
  /** Every row. Not while a gateway is expected to find the store as a dead one left it. */
  rows(): Promise<readonly LedgerRow[]>
}

const clock = () => unixMs(Date.now())

/** The nonce is the last part of an EIP-3009 payment's key. */
export function nonceOf(key: string): string {
  return key.split('/').at(-1) ?? ''
}

export function sqliteBooks(path: string): Books {
  return {
    url: `sqlite:${path}`,
    async states() {
      if (!existsSync(path)) return new Map()
      const database = new DatabaseSync(path, { readOnly: true })
      try {
        const known = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'claims'").get()
        if (known === undefined) return new Map()
        return toStates(database.prepare('SELECT payment_key, state FROM claims').all())
      } finally {
        database.close()
      }
    },
    rows: () => allRows(openSqliteLedger({ path, clock })),
  }
}

/** @param line Through which gateways reach the database. */
export async function postgresBooks(
  postgres: TestPostgres,
  schema: string,
  line: SlowLine,
): Promise<Books> {
  const near = await postgres.createSchema(schema)
  const url = near.replace(`:${postgres.port}/`, `:${line.port}/`)
  const table = `"${schema}".farebox_claims`
  return {
    url,
    async states() {
      const [known] = await postgres.query(`SELECT to_regclass('${table}')::text AS name`)
      if (known?.['name'] === null) return new Map()
      return toStates(await postgres.query(`SELECT payment_key, state FROM ${table}`))
    },
    rows: () => allRows(openPostgresLedger({ url: near, clock })),
  }
}

function toStates(rows: readonly Record<string, unknown>[]): Map<string, ClaimState> {
  return new Map(
    rows.map(({ payment_key, state }) => [
      nonceOf(String(payment_key)),
      state as ClaimState, // the table's CHECK allows nothing else
    ]),
  )
}

async function allRows(opening: Promise<Ledger>): Promise<readonly LedgerRow[]> {
  const ledger = await opening
  try {
    const rows: LedgerRow[] = []
    for (;;) {
      const last = rows.at(-1)
      const page = await ledger.list({ ...(last && { after: last.id }), limit: 1000 })
      rows.push(...page)
      if (page.length < 1000) return rows
    }
  } finally {
    await ledger.close()
  }
}
