import { afterAll, beforeAll } from 'vitest'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { runLedgerContract } from '../contract/ledger-contract.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'

let server: TestPostgres
const urls = new Map<string, Promise<string>>()
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

/** The same schema for everyone who names the same store. */
function urlOf(store: string): Promise<string> {
  const url = urls.get(store) ?? server.createSchema(store)
  urls.set(store, url)
  return url
}

runLedgerContract('PostgreSQL', async ({ clock, store }) =>
  openPostgresLedger({ url: await urlOf(store), clock }),
)
