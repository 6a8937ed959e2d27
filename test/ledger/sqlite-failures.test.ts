import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { openSqliteLedger, type SqliteLedgerOptions } from '../../src/ledger/sqlite.ts'
import { claimed, claimRequest } from './claim-fixtures.ts'

const NOBODY = 65534
const UNAVAILABLE = { code: 'store_unavailable' }

let directory = ''
let path = ''
let opened: Ledger[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'farebox-ledger-'))
  path = join(directory, 'farebox.db')
})
afterEach(async () => {
  await Promise.all(opened.map(ledger => ledger.close()))
  opened = []
  rmSync(directory, { recursive: true })
})

async function open(options: Partial<SqliteLedgerOptions> = {}): Promise<Ledger> {
  const ledger = await openSqliteLedger({ path, ...options })
  opened.push(ledger)
  return ledger
}

function request(key: string) {
  return claimRequest({ key, heldUntil: unixMs(Date.now() + 60_000) })
}

describe('a file that cannot be used', () => {
  it('refuses a file that is no database, and leaves it as it is', async () => {
    const text = 'server:\n  listen: 0.0.0.0:8402\n'.repeat(300)
    writeFileSync(path, text)
    await expect(open()).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('not a SQLite database'),
      fix: expect.stringContaining('backup'),
    })
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('refuses the schema of a newer farebox, and leaves it as it is', async () => {
    const newer = new DatabaseSync(path)
    newer.exec('CREATE TABLE claims (something TEXT); PRAGMA user_version = 999')
    newer.close()
    const before = readFileSync(path)
    await expect(open()).rejects.toMatchObject({
      code: 'ledger_schema_newer',
      message: expect.stringContaining('999'),
    })
    expect(readFileSync(path).equals(before)).toBe(true)
  })

  it('refuses a path below something that is no directory', async () => {
    writeFileSync(path, '')
    await expect(open({ path: join(path, 'below', 'farebox.db') })).rejects.toMatchObject(
      UNAVAILABLE,
    )
  })

  it.each(['farebox.db', 'deeper/farebox.db'])(
    'refuses %s in a read-only directory',
    async file => {
      chmodSync(directory, 0o555)
      const root = process.geteuid?.() === 0
      // Root may write anywhere, so that the test takes another user's place.
      if (root) process.seteuid?.(NOBODY)
      try {
        const ledger = open({ path: join(directory, file) })
        await expect(ledger).rejects.toMatchObject({
          ...UNAVAILABLE,
          fix: expect.stringContaining('user that runs farebox'),
        })
      } finally {
        if (root) process.seteuid?.(0)
        chmodSync(directory, 0o755)
      }
    },
  )
})

describe('a file that is used by others', () => {
  it('says so when another process keeps it locked, and goes on afterwards', async () => {
    const ledger = await open({ lockWaitMs: 30 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    const asked = [ledger.claim(request('a')), ledger.countByState()]
    for (const each of asked) {
      await expect(each).rejects.toMatchObject({
        ...UNAVAILABLE,
        message: expect.stringContaining('locked'),
      })
    }
    other.exec('ROLLBACK')
    other.close()
    expect((await ledger.claim(request('a'))).kind).toBe('claimed')
  })

  it('is opened by several at the same moment, of which one makes the schema', async () => {
    const ledgers = await Promise.all(Array.from({ length: 4 }, () => open()))
    const kinds = await Promise.all(
      ledgers.map(async ledger => (await ledger.claim(request('one'))).kind),
    )
    expect(kinds.toSorted()).toEqual(['claimed', 'in-progress', 'in-progress', 'in-progress'])
  })
})

describe('a file that goes bad', () => {
  it('is never believed again once it was found damaged', async () => {
    const ledger = await open()
    const keys = Array.from({ length: 60 }, (_, index) => `key ${index}`)
    await Promise.all(keys.map(key => ledger.claim(request(key))))
    const other = new DatabaseSync(path)
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const good = readFileSync(path)
    const bad = Buffer.from(good).fill('damage', 4096)
    writeFileSync(path, bad)
    // A change by someone else makes the ledger read the file again.
    other.exec('PRAGMA user_version = 1')
    const damaged = { ...UNAVAILABLE, message: expect.stringContaining('damaged') }
    await expect(ledger.claim(request('key 0'))).rejects.toMatchObject(damaged)
    other.close()
    writeFileSync(path, good)
    await expect(ledger.claim(request('new'))).rejects.toMatchObject(damaged)
  })
})

describe('a thread that ends', () => {
  it('rejects what was asked of it and everything later, and closes', async () => {
    const created = once(process, 'worker')
    const ledger = await open()
    const [worker]: [Worker] = (await created) as [Worker] // what node:process says it emits
    const asked = ledger.claim(request('asked'))
    const pending = expect(asked).rejects.toMatchObject(UNAVAILABLE)
    await worker.terminate()
    await pending
    await expect(ledger.claim(request('later'))).rejects.toMatchObject(UNAVAILABLE)
    await expect(ledger.countByState()).rejects.toMatchObject(UNAVAILABLE)
    await ledger.close()
  })
})

describe('a ledger that is asked for too much', () => {
  it('refuses what does not fit into its queue, and serves what does', async () => {
    const ledger = await open({ waitingMax: 4 })
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    const outcomes = await Promise.allSettled(keys.map(key => ledger.claim(request(key))))
    const served = outcomes.map(({ status }) => status === 'fulfilled')
    expect(served).toEqual([true, true, true, true, false, false])
    expect(outcomes[5]).toMatchObject({ reason: UNAVAILABLE })
    expect((await ledger.claim(request('f'))).kind).toBe('claimed')
  })
})

describe('a disk that hangs', () => {
  it('is waited for no longer than agreed, and used again when it answers', async () => {
    const ledger = await open({ lockWaitMs: 10_000, stallMs: 50 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    const hung = { ...UNAVAILABLE, message: expect.stringContaining('50 ms') }
    await expect(ledger.claim(request('a'))).rejects.toMatchObject(hung)
    await expect(ledger.claim(request('b'))).rejects.toMatchObject(hung)
    other.exec('ROLLBACK')
    other.close()
    await expect.poll(() => kindOf(ledger.recall(request('b')))).toBe('unclaimed')
    // Nobody was told that "a" was claimed, but it was: its hold protects it like any other.
    expect((await ledger.claim(request('a'))).kind).toBe('in-progress')
  })
})

describe('where the file is', () => {
  it('makes the directories that are missing', async () => {
    const deep = join(directory, 'not', 'there', 'yet', 'farebox.db')
    const ledger = await open({ path: deep })
    await claimed(ledger, request('a'))
    expect(() => mkdirSync(dirname(deep))).toThrow('EEXIST')
  })

  it('keeps nothing of a ledger in memory', async () => {
    const first = await open({ path: ':memory:' })
    await claimed(first, request('a'))
    expect((await first.claim(request('a'))).kind).toBe('in-progress')
    const second = await open({ path: ':memory:' })
    await claimed(second, request('a'))
  })
})

async function kindOf(outcome: Promise<{ readonly kind: string }>): Promise<string> {
  try {
    return (await outcome).kind
  } catch {
    return 'rejected'
  }
}
