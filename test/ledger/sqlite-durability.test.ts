import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { claimed, claimRequest } from './claim-fixtures.ts'

const CLAIMER = fileURLToPath(new URL('./claim-in-a-loop.ts', import.meta.url))
const PRLIMIT = '/usr/bin/prlimit'
const LATER = unixMs(Date.now() + 3_600_000)

let directory = ''
let path = ''
let children: ChildProcess[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'farebox-ledger-'))
  path = join(directory, 'farebox.db')
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  rmSync(directory, { recursive: true })
})

/** Lines that a claimer writes, and the way to start it. */
function follow(child: ChildProcess): AsyncIterator<string> {
  children.push(child)
  if (child.stdout === null) throw new Error('The claimer has no stdout.')
  child.stdin?.write('go\n')
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

async function linesUntil(
  lines: AsyncIterator<string>,
  done: (line: string, count: number) => boolean,
): Promise<string[]> {
  const seen: string[] = []
  for (;;) {
    const { value, done: ended } = await lines.next()
    if (ended === true) return seen
    seen.push(value)
    if (done(value, seen.length)) return seen
  }
}

function keysOf(lines: readonly string[]): string[] {
  return lines.filter(line => line.startsWith('claimed ')).map(line => line.slice(8))
}

async function expectRemembered(keys: readonly string[]): Promise<void> {
  const db = new DatabaseSync(path)
  const stored = db.prepare('SELECT payment_key FROM claims').all()
  const found = new Set(stored.map(row => String(row['payment_key']).split('/').at(-1)))
  expect(keys.filter(key => !found.has(key))).toEqual([])
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  const counted = db.prepare("SELECT claims FROM claim_counts WHERE state = 'forwarded'").get()
  expect(counted?.['claims']).toBe(found.size)
  db.close()
}

/** Commits in the log: frames that name a size (https://sqlite.org/fileformat2.html). */
function commitsIn(log: string): number {
  const bytes = readFileSync(log)
  const frameBytes = 24 + bytes.readUInt32BE(8)
  const salt = bytes.subarray(16, 24)
  let commits = 0
  for (let at = 32; at + frameBytes <= bytes.length; at += frameBytes) {
    if (!bytes.subarray(at + 8, at + 16).equals(salt)) break
    if (bytes.readUInt32BE(at + 4) !== 0) commits += 1
  }
  return commits
}

describe('what was answered', () => {
  it('survives kill -9 in the middle of many claims', async () => {
    const child = spawn(process.execPath, [CLAIMER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    const lines = follow(child)
    const before = await linesUntil(lines, (_, count) => count === 300)
    child.kill('SIGKILL')
    const after = await linesUntil(lines, () => false)
    await exited
    expect(before.length).toBe(300)
    await expectRemembered(keysOf([...before, ...after]))

    const ledger = await openSqliteLedger({ path })
    const again = await ledger.claim(claimRequest({ key: 'key-0', heldUntil: LATER }))
    expect(again.kind).toBe('in-progress')
    await ledger.close()
  })

  it.skipIf(!existsSync(PRLIMIT))('survives writes that fail, and claims go on after', async () => {
    const limited = 'trap "" XFSZ; ulimit -S -f 600; exec "$0" "$@"'
    const child = spawn('bash', ['-c', limited, process.execPath, CLAIMER, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    const lines = follow(child)
    const starved = await linesUntil(lines, line => line === 'stopped')
    expect(starved).toContain('failed store_unavailable')
    expect(keysOf(starved).length).toBeGreaterThan(10)

    const freed = spawn(PRLIMIT, ['--pid', String(child.pid), '--fsize=unlimited:'])
    expect(await once(freed, 'exit')).toEqual([0, null])
    child.stdin?.write('go\n')
    const fed = await linesUntil(lines, (_, count) => count === 100)
    child.kill('SIGKILL')
    const rest = await linesUntil(lines, () => false)
    await exited
    expect(keysOf(fed).length).toBe(100)
    await expectRemembered(keysOf([...starved, ...fed, ...rest]))
  })

  it('can be read by another process at once', async () => {
    const ledger = await openSqliteLedger({ path })
    const reader = new DatabaseSync(path, { readOnly: true })
    const find = reader.prepare('SELECT state FROM claims WHERE id = ?')
    for (const key of ['a', 'b', 'c']) {
      const id = await claimed(ledger, claimRequest({ key, heldUntil: LATER }))
      expect(find.get(id)).toEqual({ state: 'forwarded' })
      await ledger.markSettling(id)
      expect(find.get(id)).toEqual({ state: 'settling' })
    }
    reader.close()
    await ledger.close()
  })
})

describe('group commit', () => {
  it('commits many claims that come together far less often than once each', async () => {
    const ledger = await openSqliteLedger({ path })
    const before = commitsIn(`${path}-wal`)
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)
    await Promise.all(keys.map(key => ledger.claim(claimRequest({ key, heldUntil: LATER }))))
    const commits = commitsIn(`${path}-wal`) - before
    expect(commits).toBeGreaterThan(0)
    expect(commits).toBeLessThanOrEqual(4)
    await ledger.close()
  })

  it('commits a claim that comes alone at once', async () => {
    const ledger = await openSqliteLedger({ path })
    const before = commitsIn(`${path}-wal`)
    for (const key of ['a', 'b', 'c']) {
      await ledger.claim(claimRequest({ key, heldUntil: LATER }))
    }
    expect(commitsIn(`${path}-wal`) - before).toBe(3)
    await ledger.close()
  })
})

it('leaves one whole file behind when closed', async () => {
  const ledger = await openSqliteLedger({ path })
  await ledger.claim(claimRequest({ key: 'key', heldUntil: LATER }))
  await ledger.close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  await expectRemembered(['key'])
})
