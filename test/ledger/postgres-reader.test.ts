import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger, LedgerReader } from '../../src/ledger/ledger.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { openPostgresReader } from '../../src/ledger/postgres-reader.ts'
import { POSTGRES_PASSWORD, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { claimedAs, claimRequest, STATES } from './claim-fixtures.ts'

let server: TestPostgres
const opened: (Ledger | LedgerReader)[] = []
beforeAll(async () => {
  server = await startPostgres()
})
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})
afterAll(() => server.close())

async function makeLedger(url: string): Promise<Ledger> {
  const ledger = await openPostgresLedger({ url })
  opened.push(ledger)
  const heldUntil = unixMs(Date.now() + 60_000)
  for (const key of STATES) await claimedAs(key, ledger, claimRequest({ key, heldUntil }))
  return ledger
}

async function read(url: string): Promise<LedgerReader> {
  const reader = await openPostgresReader({ url })
  opened.push(reader)
  return reader
}

it('sees what gateways write, where nothing may be written', async () => {
  const url = await server.createSchema('seen')
  const ledger = await makeLedger(url)
  const standby = new URL(url)
  const options = standby.searchParams.get('options') ?? ''
  standby.searchParams.set('options', `${options} -c default_transaction_read_only=on`)
  const reader = await read(standby.href)
  for (const query of [{ limit: 1000 }, { limit: 2, since: unixMs(1), states: STATES.slice(2) }]) {
    expect(await reader.list(query)).toEqual(await ledger.list(query))
  }
  expect(await reader.countByState()).toEqual(await ledger.countByState())
})

it('makes no ledger where there is none', async () => {
  const url = await server.createSchema('empty')
  await expect(read(url)).rejects.toMatchObject({ code: 'no_ledger' })
  const tables = await server.query("SELECT 1 FROM pg_tables WHERE schemaname = 'empty'")
  expect(tables).toEqual([])
})

it.each([
  ['newer', 'INSERT INTO farebox_schema VALUES (999)'],
  ['older', 'UPDATE farebox_schema SET version = version - 1000'],
])('names the schema of a farebox that is %s, and leaves it', async (age, change) => {
  const url = await server.createSchema(`was_${age}`)
  await makeLedger(url)
  const at = change.replace('farebox_schema', `was_${age}.farebox_schema`)
  await server.query(at)
  const before = await server.query(`SELECT * FROM was_${age}.farebox_schema`)
  await expect(read(url)).rejects.toMatchObject({ code: `ledger_schema_${age}` })
  expect(await server.query(`SELECT * FROM was_${age}.farebox_schema`)).toEqual(before)
})

it('says at once that a database cannot be reached, and never the password', async () => {
  const url = `postgres://postgres:${POSTGRES_PASSWORD}@127.0.0.1:9/postgres`
  const failure = await read(url).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'store_unavailable' })
  expect(String(failure)).not.toContain(POSTGRES_PASSWORD)
})
