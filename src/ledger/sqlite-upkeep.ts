import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { ABANDONED, ledgerRow, number, stateOf, unresolvedClaim } from './claim-row.ts'
import { forgettableBefore } from './claim-rules.ts'
import type { ClaimState, LedgerRow, UnresolvedClaim } from './ledger.ts'
import type { UpkeepCall } from './sqlite-protocol.ts'

/** Repeats the condition of the index that holds only these rows: SQLite uses it only then. */
const UNFINISHED = "state NOT IN ('delivered', 'released')"

type UpkeepAnswer =
  | readonly UnresolvedClaim[]
  | readonly LedgerRow[]
  | Readonly<Record<ClaimState, number>>
  | number

/** What is asked of all claims together: by the resolver, by the clean-up and by reports. */
export class SqliteUpkeep {
  readonly #take: StatementSync
  readonly #abandon: StatementSync
  readonly #prune: StatementSync
  readonly #list: StatementSync
  readonly #listRecent: StatementSync
  readonly #count: StatementSync

  constructor(db: DatabaseSync) {
    this.#take = db.prepare(
      `UPDATE claims SET held_until = ?1, updated_at = ?2 WHERE id IN (
         SELECT id FROM claims
         WHERE ${UNFINISHED} AND state IN ('settling', 'unknown') AND held_until <= ?2
         ORDER BY created_at, id LIMIT ?3
       ) RETURNING *`,
    )
    this.#abandon = db.prepare(
      `UPDATE claims SET state = 'released', detail = ?1, updated_at = ?2
       WHERE ${UNFINISHED} AND state = 'forwarded' AND held_until <= ?2`,
    )
    this.#prune = db.prepare(
      `DELETE FROM claims WHERE id IN (
         SELECT id FROM claims
         WHERE valid_before < ?1 AND updated_at < ?2 AND id < (SELECT max(id) FROM claims) AND (
           state IN ('delivered', 'released') OR
           (state = 'settled' AND held_until <= ?3 AND settled_at + redeemable_ms <= ?3)
         )
         ORDER BY valid_before LIMIT ?4
       )`,
    )
    this.#list = db.prepare(listing('+created_at'))
    this.#listRecent = db.prepare(listing('created_at'))
    this.#count = db.prepare('SELECT state, claims FROM claim_counts')
  }

  perform(call: UpkeepCall): UpkeepAnswer {
    switch (call[0]) {
      case 'take': {
        const [, now, heldUntil, limit] = call
        const taken = this.#take.all(heldUntil, now, limit).map(unresolvedClaim)
        return taken.sort((one, other) => one.createdAt - other.createdAt || one.id - other.id)
      }
      case 'abandon':
        return Number(this.#abandon.run(ABANDONED, call[1]).changes)
      case 'prune': {
        const [, now, olderThan, limit] = call
        const expired = forgettableBefore(olderThan, now)
        return Number(this.#prune.run(expired, olderThan, now, limit).changes)
      }
      case 'list': {
        const [, ...filters] = call
        const [, since] = filters
        const list = since > 0 ? this.#listRecent : this.#list
        return list.all(...filters).map(ledgerRow)
      }
      case 'count':
        return this.#countByState()
    }
  }

  #countByState(): Readonly<Record<ClaimState, number>> {
    const counts = { forwarded: 0, settling: 0, settled: 0, delivered: 0, released: 0, unknown: 0 }
    for (const row of this.#count.all()) counts[stateOf(row)] = number(row, 'claims')
    return counts
  }
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
