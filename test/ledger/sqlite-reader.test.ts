import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger, LedgerReader } from '../../src/ledger/ledger.ts'
import { SQLITE_MIGRATIONS } from '../../src/ledger/migrations/sqlite.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { openSqliteReader } from '../../src/ledger/sqlite-reader.ts'
import { claimedAs, claimRequest, STATES } from './claim-fixtures.ts'

const NOBODY = 65534

let directory = ''
let path = ''
const opened: (Ledger | LedgerReader)[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'farebox-reader-'))
  path = join(directory, 'a "ledger"#1?.db')
})
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
  rmSync(directory, { recursive: true })
})

async function write(file = path): Promise<Ledger> {
  const ledger = await openSqliteLedger({ path: file })
  opened.push(ledger)
  return ledger
}

async function read(file = path): Promise<LedgerReader> {
  const reader = await openSqliteReader({ path: file })
  opened.push(reader)
  return reader
}

const request = (key: string) => claimRequest({ key, heldUntil: unixMs(Date.now() + 60_000) })
const idsOf = async (reader: LedgerReader) =>
  (await reader.list({ limit: 1000 })).map(one => one.id)

/** A closed ledger of one row in each state. */
async function makeLedger(): Promise<void> {
  const ledger = await write()
  for (const state of STATES) await claimedAs(state, ledger, request(state))
  await ledger.close()
}

/** Runs as somebody who owns nothing here. Root may do everything, whatever a file's mode says. */
async function asNobody<Result>(work: () => Promise<Result>): Promise<Result> {
  const root = process.geteuid?.() === 0
  if (root) process.seteuid?.(NOBODY)
  try {
    return await work()
  } finally {
    if (root) process.seteuid?.(0)
  }
}

describe('a reader', () => {
  it('sees what gateways write, while they write', async () => {
    const ledger = await write()
    const reader = await read()
    expect(await idsOf(reader)).toEqual([])
    for (const state of STATES) await claimedAs(state, ledger, request(state))
    const all = { limit: 1000 }
    expect(await reader.list(all)).toEqual(await ledger.list(all))
    expect(await reader.countByState()).toEqual(await ledger.countByState())
    const some = { limit: 2, states: ['settled', 'unknown'], since: unixMs(1) } as const
    expect(await reader.list(some)).toEqual(await ledger.list(some))
  })

  it('leaves a ledger that nobody runs on as it is, and no file beside it', async () => {
    await makeLedger()
    const [bytes, { mtimeMs }] = [readFileSync(path), statSync(path)]
    const reader = await read()
    expect(await idsOf(reader)).toHaveLength(STATES.length)
    await reader.close()
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(statSync(path).mtimeMs).toBe(mtimeMs)
    expect(readdirSync(directory)).toHaveLength(1)
  })

  it('goes on when a gateway starts on the file, writes and stops', async () => {
    await makeLedger()
    const reader = await read()
    const before = await idsOf(reader)
    const ledger = await write()
    const id = await claimedAs('settled', ledger, request('new'))
    expect(await idsOf(reader)).toEqual([...before, id])
    await ledger.close()
    const next = await write()
    const last = await claimedAs('settled', next, request('newer'))
    expect(await idsOf(reader)).toEqual([...before, id, last])
  })

  it('keeps no gateway from claiming while it is open', async () => {
    const ledger = await openSqliteLedger({ path, lockWaitMs: 0 })
    opened.push(ledger)
    await claimedAs('delivered', ledger, request('a'))
    const reader = await read()
    for (const key of ['b', 'c', 'd']) {
      await reader.list({ limit: 1 })
      await claimedAs('settled', ledger, request(key))
    }
    expect(await idsOf(reader)).toHaveLength(4)
  })

  it('reads a copy on a disk where nothing may be written', async () => {
    await makeLedger()
    const copy = join(directory, 'backup')
    mkdirSync(copy)
    copyFileSync(path, join(copy, 'farebox.db'))
    chmodSync(directory, 0o755)
    chmodSync(join(copy, 'farebox.db'), 0o444)
    chmodSync(copy, 0o555)
    const rows = await asNobody(async () => idsOf(await read(join(copy, 'farebox.db'))))
    expect(rows).toHaveLength(STATES.length)
  })

  it('reads the log of a killed gateway, and says so where it cannot', async () => {
    const ledger = await write()
    await claimedAs('settled', ledger, request('in the log'))
    const copy = join(directory, 'copy')
    mkdirSync(copy)
    for (const suffix of ['', '-wal'])
      copyFileSync(path + suffix, join(copy, `farebox.db${suffix}`))
    chmodSync(directory, 0o755)
    chmodSync(copy, 0o555)
    await expect(asNobody(() => read(join(copy, 'farebox.db')))).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/newest payments are in ".*-wal"/),
    })
    chmodSync(copy, 0o755)
    expect(await idsOf(await read(join(copy, 'farebox.db')))).toHaveLength(1)
  })
})

describe('what is no ledger to be read', () => {
  it('is not made', async () => {
    await expect(read()).rejects.toMatchObject({ code: 'no_ledger' })
    expect(existsSync(path)).toBe(false)
  })

  it.each([
    ['a database of something else', 'CREATE TABLE notes (text TEXT)', 'no_ledger'],
    ['an empty file', '', 'no_ledger'],
    ["a newer farebox's ledger", 'PRAGMA user_version = 999', 'ledger_schema_newer'],
    [
      "an older farebox's ledger",
      `${SQLITE_MIGRATIONS[0]}; PRAGMA user_version = 1`,
      'ledger_schema_older',
    ],
  ])('%s is left as it is, and named', async (_name, sql, code) => {
    writeFileSync(path, '')
    const other = new DatabaseSync(path)
    other.exec(sql)
    other.close()
    const before = readFileSync(path)
    await expect(read()).rejects.toMatchObject({ code, message: expect.stringContaining(path) })
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(directory)).toHaveLength(1)
  })

  it('a file that is no database is damaged', async () => {
    writeFileSync(path, 'server: {listen: 0.0.0.0:8402}\n'.repeat(300))
    await expect(read()).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('not a SQLite database'),
    })
  })

  it('a file that we may not read is named with what to do', async () => {
    await makeLedger()
    chmodSync(directory, 0o755)
    chmodSync(path, 0o600)
    await expect(asNobody(() => read())).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('cannot be read'),
      fix: expect.stringContaining('user who may read'),
    })
  })
})
