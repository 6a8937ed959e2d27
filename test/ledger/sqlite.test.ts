import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { runLedgerContract } from '../contract/ledger-contract.ts'

const directory = mkdtempSync(join(tmpdir(), 'farebox-ledger-'))
afterAll(() => rmSync(directory, { recursive: true }))

runLedgerContract('SQLite', ({ clock, store }) =>
  openSqliteLedger({ path: join(directory, `${store}.db`), clock }),
)
