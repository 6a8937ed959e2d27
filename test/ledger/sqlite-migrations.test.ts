import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { SQLITE_MIGRATIONS } from '../../src/ledger/migrations/sqlite.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { claimed, claimRequest } from './claim-fixtures.ts'

const LATER = unixMs(Date.now() + 3_600_000)

let directory = ''
let path = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'farebox-ledger-'))
  path = join(directory, 'farebox.db')
})
afterEach(() => rmSync(directory, { recursive: true }))

it('keeps what the first version wrote', async () => {
  const old = new DatabaseSync(path)
  old.exec(`${SQLITE_MIGRATIONS[0]}; PRAGMA user_version = 1`)
  old.exec(
    `INSERT INTO claims (payment_key, fingerprint, route, payer, network, asset, pay_to, amount,
       valid_before, state, held_until, created_at, updated_at, payload, requirements)
     VALUES ('eip155:84532/nonce/old', 'same', 'GET /', '0x1', 'eip155:84532', '0x2', '0x3', '1',
       1, 'settling', ${LATER}, 1, 1, '{}', '{}')`,
  )
  old.close()
  const ledger = await openSqliteLedger({ path })
  const { kind } = await ledger.claim(claimRequest({ key: 'old', heldUntil: LATER }))
  expect(kind).toBe('settlement-pending')
  await claimed(ledger, claimRequest({ key: 'new', heldUntil: LATER }))
  expect((await ledger.list({ limit: 10 })).map(row => row.state)).toEqual([
    ...['settling', 'forwarded'],
  ])
  await ledger.close()
})
