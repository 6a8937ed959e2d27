import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { ABANDONED, number, shareOut, unresolvedClaim } from './claim-row.ts'
import { forgettableBefore } from './claim-rules.ts'
import {
  type ClaimId,
  type ClaimState,
  claimId,
  type LedgerRow,
  type UnresolvedClaim,
} from './ledger.ts'
import type { UpkeepCall } from './sqlite-protocol.ts'
import { SqliteReports } from './sqlite-reports.ts'

/** Repeats the condition of the index that holds only these rows: SQLite uses it only then. */
const UNFINISHED = "state NOT IN ('delivered', 'released')"

type UpkeepAnswer =
  | readonly UnresolvedClaim[]
  | readonly ClaimId[]
  | readonly LedgerRow[]
  | Readonly<Record<ClaimState, number>>
  | number

/** What is asked of all claims together: by the resolver, by the clean-up and by reports. */
export class SqliteUpkeep {
  readonly #take: StatementSync
  readonly #extend: StatementSync
  readonly #abandon: StatementSync
  readonly #prune: StatementSync
  readonly #pruneResponses: StatementSync
  readonly #reports: SqliteReports

  constructor(db: DatabaseSync) {
    const open = `SELECT id FROM claims
      WHERE ${UNFINISHED} AND state IN ('settling', 'unknown') AND held_until <= ?2`
    this.#take = db.prepare(
      `UPDATE claims SET held_until = ?1, updated_at = ?2 WHERE id IN (
         SELECT id FROM (${open} ORDER BY created_at DESC, id DESC LIMIT ?3)
         UNION SELECT id FROM (${open} ORDER BY created_at, id LIMIT ?4)
       ) RETURNING *`,
    )
    this.#extend = db.prepare(
      `UPDATE claims SET held_until = max(held_until, ?1), updated_at = ?2
       WHERE id IN (SELECT value FROM json_each(?3))
         AND ${UNFINISHED} AND state = 'settled' AND held_until > 0
       RETURNING id`,
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
         ) AND (response_until IS NULL OR response_until <= ?3)
         ORDER BY valid_before LIMIT ?4
       )`,
    )
    this.#pruneResponses = db.prepare(
      `DELETE FROM responses WHERE payment_key IN (
         SELECT payment_key FROM responses WHERE until <= ?1 ORDER BY until LIMIT ?2
       )`,
    )
    this.#reports = new SqliteReports(db)
  }

  perform(call: UpkeepCall): UpkeepAnswer {
    switch (call[0]) {
      case 'take': {
        const [, now, heldUntil, limit] = call
        const { youngest, oldest } = shareOut(limit)
        const taken = this.#take.all(heldUntil, now, youngest, oldest).map(unresolvedClaim)
        return taken.sort((one, other) => one.createdAt - other.createdAt || one.id - other.id)
      }
      case 'extend': {
        const [, now, heldUntil, ids] = call
        return this.#extend.all(heldUntil, now, ids).map(row => claimId(number(row, 'id')))
      }
      case 'abandon':
        return Number(this.#abandon.run(ABANDONED, call[1]).changes)
      case 'prune': {
        const [, now, olderThan, limit] = call
        const expired = forgettableBefore(olderThan, now)
        return Number(this.#prune.run(expired, olderThan, now, limit).changes)
      }
      case 'prune responses':
        return Number(this.#pruneResponses.run(call[1], call[2]).changes)
      case 'list':
        return this.#reports.list(call)
      case 'count':
        return this.#reports.countByState()
    }
  }
}
