import type { ClientBase } from 'pg'
import { number } from './claim-row.ts'
import { LATE_CLOCK_MS } from './free-requests.ts'
import { query, type Statement } from './postgres-statement.ts'

/** Waits for whoever takes one of the same at this moment, and judges by what that one has left. */
const TAKE: Statement = {
  name: 'farebox_take_free',
  text: `INSERT INTO farebox_free_requests AS taken (name, until, used) VALUES ($1, $2, 1)
    ON CONFLICT (name, until) DO UPDATE SET used = taken.used + 1 WHERE taken.used < $3
    RETURNING used`,
}

const PRUNE: Statement = {
  name: 'farebox_prune_free',
  text: `DELETE FROM farebox_free_requests WHERE (name, until) IN (
      SELECT name, until FROM farebox_free_requests WHERE until <= $1
      ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING used`,
}

export async function takeFreeRequest(
  client: ClientBase,
  asked: { readonly name: string; readonly until: number; readonly requests: number },
): Promise<number | null> {
  const { name, until, requests } = asked
  const [taken] = await query(client, TAKE, [name, until, requests])
  return taken === undefined ? null : requests - number(taken, 'used')
}

export async function pruneFreeRequests(
  client: ClientBase,
  now: number,
  { limit }: { readonly limit: number },
): Promise<number> {
  return (await query(client, PRUNE, [now - LATE_CLOCK_MS, limit])).length
}
