import { Client, type ClientBase } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { STEPS_FROM, type Step } from '../../src/ledger/claim-rules.ts'
import { claimId } from '../../src/ledger/ledger.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { recallPayment, takeStep } from '../../src/ledger/postgres-claims.ts'
import { prepareSession } from '../../src/ledger/postgres-pool.ts'
import {
  extendHolds,
  listRows,
  pruneResponses,
  pruneRows,
  releaseAbandoned,
  takeUnresolved,
} from '../../src/ledger/postgres-upkeep.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'

/**
 * A prepared statement keeps the plan that was made for it, on whatever the table held by then. One
 * that walked through all open claims to find one of them made every step slower than the one
 * before. So that what is asked of a table that nobody ever analysed is what must go well.
 */
let server: TestPostgres
let client: Client
beforeAll(async () => {
  server = await startPostgres()
  const ledger = await openPostgresLedger({ url: server.url })
  await ledger.close()
  client = new Client(server.url)
  await client.connect()
  await prepareSession(client, {
    ...{ connectionsMax: 1, connectTimeoutMs: 1000, statementTimeoutMs: 10_000 },
  })
})
afterAll(async () => {
  await client.end()
  await server.close()
})

/** The plan of the first statement that `ask` sends. */
async function planOf(ask: (client: ClientBase) => Promise<unknown>): Promise<string> {
  let text = ''
  const query = (asked: { readonly text: string }) => {
    text ||= asked.text
    return { rows: [{ id: 1 }] }
  }
  const recorder = { query } as unknown as ClientBase
  await ask(recorder).catch(() => undefined)
  const { rows } = await client.query(`EXPLAIN (GENERIC_PLAN, COSTS OFF) ${text}`)
  return rows.map(row => row['QUERY PLAN']).join('\n')
}

function indexesIn(plan: string): string[] {
  expect(plan).not.toMatch(/Seq Scan|Bitmap/)
  return [...plan.matchAll(/using (\w+)/g)].map(([, index = '']) => index)
}

const ASKED = {
  ...{ key: 'k', fingerprint: 'f', payer: 'p', identifier: null },
  ...{ now: 1, heldUntil: 1, redeemableMs: 1 },
}

describe('the plan', () => {
  it.each(Object.keys(STEPS_FROM) as Step[])('of the step "%s" finds its row by id', async step => {
    const taken = { step, id: claimId(1), values: [] }
    const plan = await planOf(each => takeStep(each, 1, taken))
    expect(indexesIn(plan)).toEqual(['farebox_claims_pkey'])
  })

  it('of looking a payment up finds it by its key', async () => {
    const plan = await planOf(each => recallPayment(each, ASKED))
    expect(indexesIn(plan)).toEqual(['farebox_claims_payment_key_key'])
  })

  it('of looking up an identifier as well finds each by its own index', async () => {
    const plan = await planOf(each => recallPayment(each, { ...ASKED, identifier: 'i' }))
    expect(indexesIn(plan)).toEqual(['farebox_claims_payment_key_key', 'farebox_claims_identifier'])
  })

  it('of forgetting responses goes by when they end', async () => {
    const plan = await planOf(each => pruneResponses(each, 1, { limit: 1 }))
    expect(indexesIn(plan)).toEqual(['farebox_responses_until', 'farebox_responses_pkey'])
  })

  it('of taking and of releasing looks only at open claims', async () => {
    const taking = await planOf(each => takeUnresolved(each, 1, { limit: 1, heldUntil: 1 }))
    // Once for the youngest and once for the oldest.
    expect(indexesIn(taking)).toEqual([
      ...['farebox_claims_open', 'farebox_claims_open', 'farebox_claims_pkey'],
    ])
    const releasing = await planOf(each => releaseAbandoned(each, 1))
    expect(indexesIn(releasing)).toEqual(['farebox_claims_open'])
  })

  it('of extending holds finds claims by their ids', async () => {
    const asked = { ids: [claimId(1), claimId(2)], heldUntil: 1 }
    const plan = await planOf(each => extendHolds(each, 1, asked))
    expect(indexesIn(plan)).toEqual(['farebox_claims_pkey'])
  })

  it('of pruning looks only at what has run out', async () => {
    const plan = await planOf(each => pruneRows(each, 1, { limit: 1, olderThan: 1 }))
    expect(indexesIn(plan)).toContain('farebox_claims_valid_before')
    expect(plan).not.toMatch(/created_at/)
  })

  it('of a page walks by id and sorts nothing, and by time only from a time on', async () => {
    const all = await planOf(each => listRows(each, { limit: 1 }))
    expect(indexesIn(all)).toEqual(['farebox_claims_pkey'])
    expect(all).not.toMatch(/Sort/)
    const recent = await planOf(each => listRows(each, { limit: 1, since: unixMs(5) }))
    expect(indexesIn(recent)).toEqual(['farebox_claims_created_at'])
  })
})
