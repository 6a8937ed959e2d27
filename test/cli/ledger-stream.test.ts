import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportPages } from '../../src/cli/ledger/export.ts'
import { unixMs } from '../../src/core/time.ts'
import { claimId, type Ledger, type LedgerRow } from '../../src/ledger/ledger.ts'
import { claimRequest } from '../ledger/claim-fixtures.ts'
import { type LedgerFixture, ledgerFixture } from './ledger-fixture.ts'
import { spawnCli } from './run-cli.ts'

const ROWS = 100_000

let fixture: LedgerFixture

/** One claim, and then as many like it: claiming each would take most of a minute. */
beforeAll(async () => {
  fixture = await ledgerFixture()
  const ledger = await fixture.open()
  await ledger.claim(claimRequest({ heldUntil: unixMs(0) }))
  await ledger.close()
  const db = new DatabaseSync(fixture.storeFile)
  const columns = db.prepare("SELECT name FROM pragma_table_info('claims')").all()
  const names = columns.map(({ name }) => String(name))
  const own: Readonly<Record<string, string>> = {
    id: 'n',
    payment_key: "'key-' || n",
    payload: "printf('%.1000c', 'x')",
  }
  db.exec(`WITH RECURSIVE numbers(n) AS (
      SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${ROWS}
    ) INSERT INTO claims (${names.join(', ')})
    SELECT ${names.map(name => own[name] ?? name).join(', ')}
    FROM numbers, (SELECT * FROM claims WHERE id = 1)`)
  db.close()
})

afterAll(() => fixture.close())

// A hundred megabytes of payloads alone, in a heap that holds half of that. With a time, because a
// search that began anew for each page would take minutes.
test('100,000 rows go through a heap of 48 MiB, every one of them once', async () => {
  const words = ['ledger', 'export', '--format', 'jsonl', '--since', '1h']
  const env = { NODE_OPTIONS: '--max-old-space-size=48' }
  const { code, stdout, stderr } = await spawnCli([...words, '-c', fixture.configFile], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const ids = [...stdout.matchAll(/^\{"id":(\d+),/gm)].map(([, id]) => Number(id))
  expect(ids).toHaveLength(ROWS)
  expect(ids.every((id, index) => id === index + 1)).toBe(true)
})

test('a page is read only when the one before it has gone', async () => {
  let read = 0
  const endless: Pick<Ledger, 'list'> = {
    async list({ after = 0, limit }) {
      read++
      return Array.from({ length: limit }, (_, index) => rowLike(after + index + 1))
    },
  }
  const pages = exportPages(endless, {}, { networks: [], limit: Number.POSITIVE_INFINITY })
  expect(read).toBe(0)
  await pages.next()
  expect(read).toBe(1)
  await pages.next()
  expect(read).toBe(2)
  await pages.return(undefined)
})

function rowLike(id: number): LedgerRow {
  const {
    next: _next,
    heldUntil: _held,
    fingerprint: _print,
    ...request
  } = claimRequest({
    heldUntil: unixMs(0),
  })
  const at = unixMs(1_800_000_000_000)
  return {
    ...request,
    ...{ id: claimId(id), state: 'forwarded', transaction: null, detail: null },
    ...{ createdAt: at, updatedAt: at, settledAt: null, deliveredAt: null },
  }
}
