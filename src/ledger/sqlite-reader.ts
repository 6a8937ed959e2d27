import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { StoreUnavailableError } from '../errors.ts'
import type { ClaimState, LedgerQuery, LedgerReader, LedgerRow } from './ledger.ts'
import { LedgerMissingError, LedgerOlderError, LedgerSchemaError } from './ledger-errors.ts'
import { SQLITE_MIGRATIONS } from './migrations/sqlite.ts'
import { diagnose, isNotOpened } from './sqlite-errors.ts'
import { listCall, SqliteReports } from './sqlite-reports.ts'

/** How long a gateway that is just opening the file is waited for. */
const LOCK_WAIT_MS = 2000
/** A gateway that starts, or stops, while we read makes us read again. */
const TRIES_MAX = 5

/**
 * Opens the ledger in a SQLite file to read it, whoever else has it open. Writes nothing: it makes
 * no file and no schema, and takes no lock that a gateway could wait for. Reads in the calling
 * thread, so it is for processes that serve nobody.
 *
 * Rejects with `LedgerMissingError` when there is no ledger, with `LedgerOlderError` and
 * `LedgerSchemaError` when another farebox's schema is there, and with `StoreUnavailableError` when
 * the file cannot be read.
 */
export async function openSqliteReader({ path }: { readonly path: string }): Promise<LedgerReader> {
  return new SqliteReader(path)
}

interface Connection {
  readonly db: DatabaseSync
  readonly reports: SqliteReports
  /** What the files were like, where only their staying so makes what is read true; else null. */
  readonly still: string | null
}

class SqliteReader implements LedgerReader {
  readonly #path: string
  #connection: Connection

  constructor(path: string) {
    this.#path = path
    this.#connection = connect(path)
  }

  async list(query: LedgerQuery): Promise<readonly LedgerRow[]> {
    const call = listCall(query)
    return this.#read(reports => reports.list(call))
  }

  async countByState(): Promise<Readonly<Record<ClaimState, number>>> {
    return this.#read(reports => reports.countByState())
  }

  async close(): Promise<void> {
    const { db } = this.#connection
    if (db.isOpen) db.close()
  }

  #read<Answer>(work: (reports: SqliteReports) => Answer): Answer {
    for (let tries = 1; ; tries++) {
      const { reports, still } = this.#connection
      try {
        const answer = work(reports)
        if (still === null || still === filesAt(this.#path).state) return answer
      } catch (error) {
        const moved = still !== null && still !== filesAt(this.#path).state
        if (!moved || tries === TRIES_MAX) throw readFailure(error, this.#path)
      }
      if (tries === TRIES_MAX) throw restless(this.#path)
      this.#connection.db.close()
      this.#connection = connect(this.#path)
    }
  }
}

/**
 * Where no write-ahead log is, no gateway runs. SQLite would make a log all the same, and leave it
 * behind, perhaps as a file that the gateway's user may not write; told that the file does not
 * change, it makes nothing. That it did not change is then ours to see to.
 */
function connect(path: string): Connection {
  const files = filesAt(path)
  if (!files.there) throw new LedgerMissingError(`there is no file "${path}"`)
  if (files.logBytes === null) return open(path, files.state)
  try {
    return open(path, null)
  } catch (error) {
    if (!(error instanceof NotOpened)) throw error
    // A log needs a third file, which nobody can make on a read-only disk.
    if (files.logBytes > 0) throw unreadableLog(path, error.cause)
    return open(path, files.state)
  }
}

function open(path: string, still: string | null): Connection {
  const url = pathToFileURL(path)
  if (still !== null) url.searchParams.set('immutable', '1')
  let db: DatabaseSync | null = null
  try {
    db = new DatabaseSync(url, { readOnly: true, timeout: LOCK_WAIT_MS })
    refuseOtherSchemas(db, path)
    return { db, reports: new SqliteReports(db), still }
  } catch (error) {
    db?.close()
    if (still === null && isNotOpened(error)) throw new NotOpened(error)
    throw readFailure(error, path)
  }
}

function refuseOtherSchemas(db: DatabaseSync, path: string): void {
  const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  const known = SQLITE_MIGRATIONS.length
  if (found === 0) throw new LedgerMissingError(`"${path}" is a database without a ledger`)
  if (found < known) throw new LedgerOlderError(path, { found, known })
  if (found > known) throw new LedgerSchemaError(path, { found, known })
}

/** Two files of the database, as far as they tell whether somebody has written. */
function filesAt(path: string): {
  readonly there: boolean
  /** Of the write-ahead log; null when there is none. */
  readonly logBytes: number | null
  readonly state: string
} {
  const file = statSync(path, { bigint: true, throwIfNoEntry: false })
  const log = statSync(`${path}-wal`, { bigint: true, throwIfNoEntry: false })
  const logBytes = log === undefined ? null : Number(log.size)
  const state = `${file?.dev} ${file?.ino} ${file?.size} ${file?.mtimeNs} ${logBytes}`
  return { there: file !== undefined, logBytes, state }
}

/** SQLite could not open the files, for want of one that it may not make. */
class NotOpened extends Error {
  constructor(cause: unknown) {
    super('not opened', { cause })
  }
}

function unreadableLog(path: string, cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError(
    `The newest payments are in "${path}-wal", which cannot be read as it lies there.`,
    {
      fix: `Run this as the user that runs farebox, or copy "${path}" and "${path}-wal" to where you may write.`,
      cause,
    },
  )
}

function restless(path: string): StoreUnavailableError {
  return new StoreUnavailableError(`"${path}" changed each time that it was read.`, {
    fix: 'Run it again.',
  })
}

function readFailure(error: unknown, path: string): unknown {
  if (error instanceof LedgerMissingError || error instanceof LedgerOlderError) return error
  if (error instanceof LedgerSchemaError) return error
  if (isNotOpened(error)) {
    return new StoreUnavailableError(`The ledger "${path}" cannot be read.`, {
      fix: 'Run this as a user who may read the file, or give yourself that right.',
      cause: error,
    })
  }
  const { failure } = diagnose(error, path)
  if (failure.kind !== 'unavailable') return error
  return new StoreUnavailableError(failure.message, { fix: failure.fix, cause: error })
}
