import type { ClientBase } from 'pg'
import { ABANDONED, ledgerRow, number, shareOut, unresolvedClaim } from './claim-row.ts'
import { forgettableBefore } from './claim-rules.ts'
import {
  type ClaimId,
  type ClaimState,
  claimId,
  type LedgerQuery,
  type LedgerRow,
  type UnresolvedClaim,
} from './ledger.ts'
import { query, type Statement } from './postgres-statement.ts'

/*
 * A column plus 0 can be served by no index: it says which index a statement must not use, because
 * the plan of a prepared statement outlives what the table held when it was made.
 */

const OPEN = `SELECT id FROM farebox_claims
      WHERE state IN ('settling', 'unknown') AND held_until <= $2`

/** Rows that another gateway is taking at this moment are passed over, not waited for. */
const TAKE: Statement = {
  name: 'farebox_take',
  text: `WITH youngest AS (
      ${OPEN} ORDER BY created_at + 0 DESC, id DESC LIMIT $3 FOR UPDATE SKIP LOCKED
    ), oldest AS (
      ${OPEN} ORDER BY created_at + 0, id LIMIT $4 FOR UPDATE SKIP LOCKED
    )
    UPDATE farebox_claims AS claims SET held_until = $1, updated_at = $2
    FROM (SELECT id FROM youngest UNION SELECT id FROM oldest) AS open
    WHERE claims.id = open.id RETURNING claims.*`,
}

const EXTEND: Statement = {
  name: 'farebox_extend',
  text: `UPDATE farebox_claims SET held_until = greatest(held_until, $1), updated_at = $2
    WHERE id = ANY ($3::bigint[]) AND (state || '') = 'settled' AND held_until + 0 > 0
    RETURNING id`,
}

const ABANDON: Statement = {
  name: 'farebox_abandon',
  text: `UPDATE farebox_claims SET state = 'released', detail = $1, updated_at = $2
    WHERE state = 'forwarded' AND held_until <= $2 RETURNING id`,
}

const PRUNE: Statement = {
  name: 'farebox_prune',
  text: `DELETE FROM farebox_claims WHERE id IN (
      SELECT id FROM farebox_claims
      WHERE valid_before < $1 AND updated_at < $2
        AND id + 0 < (SELECT max(id) FROM farebox_claims) AND (
          state IN ('delivered', 'released') OR
          (state = 'settled' AND held_until <= $3 AND settled_at + redeemable_ms <= $3)
        ) AND (response_until IS NULL OR response_until <= $3)
      ORDER BY valid_before LIMIT $4 FOR UPDATE SKIP LOCKED
    ) RETURNING id`,
}

const PRUNE_RESPONSES: Statement = {
  name: 'farebox_prune_responses',
  text: `DELETE FROM farebox_responses WHERE payment_key IN (
      SELECT payment_key FROM farebox_responses WHERE until <= $1
      ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING status`,
}

/** Walks by id and sorts nothing: right for every row there is. */
const LIST = listing('farebox_list', 'id', 'created_at + 0')

/** Goes by time: right for the last hour of a year. */
const LIST_RECENT = listing('farebox_list_recent', 'id + 0', 'created_at')

const COUNT: Statement = {
  name: 'farebox_count',
  text: `SELECT sum(forwarded)::bigint AS forwarded, sum(settling)::bigint AS settling,
      sum(settled)::bigint AS settled, sum(delivered)::bigint AS delivered,
      sum(released)::bigint AS released, sum(unknown)::bigint AS unknown
    FROM farebox_claim_counts`,
}

export async function takeUnresolved(
  client: ClientBase,
  now: number,
  { limit, heldUntil }: { readonly limit: number; readonly heldUntil: number },
): Promise<readonly UnresolvedClaim[]> {
  const { youngest, oldest } = shareOut(limit)
  const rows = await query(client, TAKE, [heldUntil, now, youngest, oldest])
  return rows
    .map(unresolvedClaim)
    .sort((one, other) => one.createdAt - other.createdAt || one.id - other.id)
}

export async function extendHolds(
  client: ClientBase,
  now: number,
  { ids, heldUntil }: { readonly ids: readonly ClaimId[]; readonly heldUntil: number },
): Promise<readonly ClaimId[]> {
  const rows = await query(client, EXTEND, [heldUntil, now, ids])
  return rows.map(row => claimId(number(row, 'id')))
}

export async function releaseAbandoned(client: ClientBase, now: number): Promise<number> {
  return (await query(client, ABANDON, [ABANDONED, now])).length
}

export async function pruneRows(
  client: ClientBase,
  now: number,
  { limit, olderThan }: { readonly limit: number; readonly olderThan: number },
): Promise<number> {
  const expired = forgettableBefore(olderThan, now)
  return (await query(client, PRUNE, [expired, olderThan, now, limit])).length
}

export async function pruneResponses(
  client: ClientBase,
  now: number,
  { limit }: { readonly limit: number },
): Promise<number> {
  return (await query(client, PRUNE_RESPONSES, [now, limit])).length
}

export async function listRows(
  client: ClientBase,
  asked: LedgerQuery,
): Promise<readonly LedgerRow[]> {
  const { after = 0, since = 0, until = Number.MAX_SAFE_INTEGER, limit } = asked
  const { route = null, payer = null, states = null } = asked
  const statement = since > 0 ? LIST_RECENT : LIST
  const rows = await query(client, statement, [after, since, until, route, payer, states, limit])
  return rows.map(ledgerRow)
}

export async function countByState(
  client: ClientBase,
): Promise<Readonly<Record<ClaimState, number>>> {
  const [row = {}] = await query(client, COUNT, [])
  return {
    forwarded: number(row, 'forwarded'),
    settling: number(row, 'settling'),
    settled: number(row, 'settled'),
    delivered: number(row, 'delivered'),
    released: number(row, 'released'),
    unknown: number(row, 'unknown'),
  }
}

function listing(name: string, id: string, createdAt: string): Statement {
  return {
    name,
    text: `SELECT * FROM farebox_claims
      WHERE ${id} > $1 AND ${createdAt} >= $2 AND ${createdAt} < $3
        AND ($4::text IS NULL OR route = $4) AND ($5::text IS NULL OR payer = $5)
        AND ($6::text[] IS NULL OR state = ANY ($6))
      ORDER BY ${id} LIMIT $7`,
  }
}
