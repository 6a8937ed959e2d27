import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'

const LOCKER = fileURLToPath(new URL('./hold-write-lock.ts', import.meta.url))
const PRLIMIT = '/usr/bin/prlimit'
const CHATTR = '/usr/bin/chattr'

/** Ends a fault. A second call does nothing. */
export type Cure = () => unknown

function onlyOnce<Result>(cure: () => Result): () => Result {
  let result: { readonly value: Result } | null = null
  return () => {
    result ??= { value: cure() }
    return result.value
  }
}

/** Another process takes the write lock of a SQLite file. */
export async function lockStore(storeFile: string): Promise<Cure> {
  const holder = spawn(process.execPath, [LOCKER, storeFile], { stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = once(holder, 'close')
  await once(holder.stdout, 'data')
  return onlyOnce(async () => {
    holder.stdin.end()
    await ended
  })
}

/** A farebox that does not exist yet has written the file. */
export function raiseSchema(storeFile: string): Cure {
  const before = schemaOf(storeFile, null)
  schemaOf(storeFile, 999)
  return onlyOnce(() => schemaOf(storeFile, before))
}

function schemaOf(storeFile: string, next: number | null): number {
  using database = new DatabaseSync(storeFile, { timeout: 5_000 })
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (next !== null) database.exec(`PRAGMA user_version = ${next}`)
  return version
}

export const canLimitFileSize = existsSync(PRLIMIT)

/** The disk is full for one process: every write that would make a file longer fails (EFBIG). */
export function fillDisk(pid: number): Cure {
  execFileSync(PRLIMIT, ['--pid', String(pid), '--fsize=0:'])
  return onlyOnce(() => execFileSync(PRLIMIT, ['--pid', String(pid), '--fsize=unlimited:']))
}

/** Only root may, and only some file systems can. */
export function canFreeze(file: string): boolean {
  try {
    execFileSync(CHATTR, ['+i', file], { stdio: 'ignore' })
    execFileSync(CHATTR, ['-i', file], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Every write to these files fails (EPERM), by whomever, as on a disk that turned read-only. */
export function freeze(files: readonly string[]): Cure {
  execFileSync(CHATTR, ['+i', ...files])
  return onlyOnce(() => execFileSync(CHATTR, ['-i', ...files]))
}
