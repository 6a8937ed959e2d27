import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { checkedLimit, ledgerRow, number, stateOf } from './claim-row.ts'
import type { ClaimState, LedgerQuery, LedgerRow } from './ledger.ts'
import type { ListCall } from './sqlite-protocol.ts'

/** What people and reports ask of all claims together. Only reads. */
export class SqliteReports {
  readonly #list: StatementSync
  readonly #listRecent: StatementSync
  readonly #count: StatementSync

  constructor(db: DatabaseSync) {
    this.#list = db.prepare(listing('+created_at'))
    this.#listRecent = db.prepare(listing('created_at'))
    this.#count = db.prepare('SELECT state, claims FROM claim_counts')
  }

  list([, ...filters]: ListCall): readonly LedgerRow[] {
    const [, since] = filters
    const list = since > 0 ? this.#listRecent : this.#list
    return list.all(...filters).map(ledgerRow)
  }

  countByState(): Readonly<Record<ClaimState, number>> {
    const counts = { forwarded: 0, settling: 0, settled: 0, delivered: 0, released: 0, unknown: 0 }
    for (const row of this.#count.all()) counts[stateOf(row)] = number(row, 'claims')
    return counts
  }
}

/** Throws `LedgerValueError`. */
export function listCall(query: LedgerQuery): ListCall {
  const { after = 0, since = 0, until = Number.MAX_SAFE_INTEGER, route = null } = query
  const { payer = null, states } = query
  const chosen = states === undefined ? null : JSON.stringify(states)
  return ['list', after, since, until, route, payer, chosen, checkedLimit(query.limit)]
}

/**
 * @param createdAt With a plus sign, SQLite walks by id and sorts nothing: right for every row
 *   there is. Without, it goes by time: right for the last hour of a year.
 */
function listing(createdAt: 'created_at' | '+created_at'): string {
  return `SELECT * FROM claims
    WHERE id > ?1 AND ${createdAt} >= ?2 AND ${createdAt} < ?3
      AND (?4 IS NULL OR route = ?4) AND (?5 IS NULL OR payer = ?5)
      AND (?6 IS NULL OR state IN (SELECT value FROM json_each(?6)))
    ORDER BY id LIMIT ?7`
}
