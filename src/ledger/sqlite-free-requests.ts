import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { number } from './claim-row.ts'
import { LATE_CLOCK_MS } from './free-requests.ts'
import type { FreeCall } from './sqlite-protocol.ts'

/** The free requests of one connection. */
export class SqliteFreeRequests {
  readonly #take: StatementSync
  readonly #prune: StatementSync

  constructor(db: DatabaseSync) {
    this.#take = db.prepare(
      `INSERT INTO free_requests (name, until, used) VALUES (?1, ?2, 1)
       ON CONFLICT (name, until) DO UPDATE SET used = used + 1 WHERE used < ?3
       RETURNING used`,
    )
    this.#prune = db.prepare(
      `DELETE FROM free_requests WHERE (name, until) IN (
         SELECT name, until FROM free_requests WHERE until <= ?1 ORDER BY until LIMIT ?2
       )`,
    )
  }

  perform(call: FreeCall): number | null {
    if (call[0] === 'prune free') {
      const [, now, limit] = call
      return Number(this.#prune.run(now - LATE_CLOCK_MS, limit).changes)
    }
    const [, name, until, requests] = call
    const taken = this.#take.get(name, until, requests)
    return taken === undefined ? null : requests - number(taken, 'used')
  }
}
