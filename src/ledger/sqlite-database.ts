import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SQLITE_MIGRATIONS } from './migrations/sqlite.ts'
import { CallRefused, SqliteClaims } from './sqlite-claims.ts'
import { type Diagnosis, diagnose } from './sqlite-errors.ts'
import type {
  SqliteAnswer,
  SqliteCall,
  SqliteFailure,
  SqliteReply,
  SqliteWorkerOptions,
} from './sqlite-protocol.ts'
import { WriteTurns } from './write-turns.ts'

const IN_MEMORY = ':memory:'
/** Between two tries to change the journal mode, which does not wait for locks by itself. */
const MODE_RETRY_MS = 10

interface Connection {
  readonly db: DatabaseSync
  readonly claims: SqliteClaims
  readonly schemaVersion: StatementSync
  /** Which file it is, whatever its name; null in memory. */
  readonly file: string | null
}

/** The worker's connection: opens it, runs batches on it, and replaces it when it went bad. */
export class SqliteDatabase {
  readonly #options: SqliteWorkerOptions
  #connection: Connection | null = null
  #givenUp: SqliteFailure | null = null
  readonly #turns: WriteTurns

  constructor(options: SqliteWorkerOptions) {
    this.#options = options
    this.#turns = new WriteTurns(options.lockWaitMs)
  }

  /** Creates the file and its directory where missing, and brings its schema up to date. */
  open(): SqliteReply {
    const { path } = this.#options
    try {
      if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true })
      this.#connect(migrate)
      return { kind: 'opened' }
    } catch (error) {
      const failure = openFailure(error, path)
      return { kind: 'not-opened', failure }
    }
  }

  /**
   * Runs every call in one transaction, so that all of them share one fsync.
   *
   * The reply leaves only after COMMIT has returned, which `synchronous=FULL` does after the fsync.
   */
  run(batch: readonly SqliteCall[]): SqliteReply {
    if (this.#givenUp !== null) return { kind: 'not-committed', failure: this.#givenUp }
    try {
      const connection = this.#connection ?? this.#connect(proveDurable)
      const { db, claims } = connection
      refuseAnotherFile(connection, this.#options.path)
      if (batch.every(onlyReads)) db.exec('BEGIN')
      else this.#turns.begin(db)
      refuseAnotherSchema(connection, this.#options.path)
      const reply = this.#performAll(claims, batch)
      db.exec('COMMIT')
      return reply
    } catch (error) {
      return this.#recover(error)
    }
  }

  /** Moves what the write-ahead log holds into the file, and closes it. */
  close(): void {
    const connection = this.#connection
    this.#connection = null
    if (connection === null) return
    const { db } = connection
    rescue(connection, this.#options.path)
    try {
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // Everything answered is durable in the log already; the next start will move it.
    }
    closeQuietly(db)
  }

  #performAll(claims: SqliteClaims, batch: readonly SqliteCall[]): SqliteReply {
    const answers: SqliteAnswer[] = []
    const failures: [number, SqliteFailure][] = []
    for (const [index, call] of batch.entries()) {
      try {
        answers.push(claims.perform(call))
      } catch (error) {
        failures.push([index, this.#refusalOf(error)])
        answers.push(null)
      }
    }
    return { kind: 'committed', answers, failures }
  }

  /** Why only this call failed; throws the error on when the whole batch is lost. */
  #refusalOf(error: unknown): SqliteFailure {
    if (error instanceof CallRefused) return error.failure
    const { remedy, failure } = diagnose(error, this.#options.path)
    if (remedy !== 'refuse-call') throw error
    return failure
  }

  #connect(prepare: (db: DatabaseSync, path: string) => void) {
    const { path, lockWaitMs } = this.#options
    const db = new DatabaseSync(path, { timeout: lockWaitMs, enableForeignKeyConstraints: true })
    try {
      // Before anything is written: a newer farebox's file stays as it is.
      schemaVersion(db)
      useWriteAheadLog(db, lockWaitMs)
      db.exec('PRAGMA synchronous = FULL')
      prepare(db, path)
      this.#connection = {
        db,
        claims: new SqliteClaims(db),
        schemaVersion: db.prepare('PRAGMA user_version'),
        file: path === IN_MEMORY ? null : fileAt(path),
      }
      return this.#connection
    } catch (error) {
      closeQuietly(db)
      throw error
    }
  }

  #recover(error: unknown): SqliteReply {
    if (error instanceof Estranged && this.#rolledBack()) {
      return { kind: 'not-committed', failure: error.failure }
    }
    const { remedy, failure } = diagnoseBatch(error, this.#options.path)
    // A database in memory is gone with its connection: an empty one would forget what was used.
    const lost = remedy === 'reopen' && this.#options.path === IN_MEMORY
    if (remedy === 'give-up' || lost) this.#givenUp = failure
    if (remedy === 'roll-back' && this.#rolledBack()) return { kind: 'not-committed', failure }
    if (this.#connection !== null) closeQuietly(this.#connection.db)
    this.#connection = null
    return { kind: 'not-committed', failure }
  }

  #rolledBack(): boolean {
    try {
      const db = this.#connection?.db
      if (db?.isTransaction === true) db.exec('ROLLBACK')
      return true
    } catch {
      return false
    }
  }
}

/** Such a batch waits for no writer, and no gateway waits for a report that reads its file. */
function onlyReads([kind]: SqliteCall): boolean {
  return kind === 'list' || kind === 'count' || kind === 'read body'
}

/** The schema of a file is newer than the migrations that this program knows. */
class NewerSchema extends Error {
  readonly found: number

  constructor(found: number) {
    super('newer schema')
    this.found = found
  }
}

/**
 * The file belongs to somebody else now. The connection is kept: without a name, what it has
 * written is to be found nowhere else.
 */
class Estranged extends Error {
  readonly failure: SqliteFailure

  constructor(message: string, fix: string) {
    super(message)
    this.failure = { kind: 'unavailable', message, fix }
  }
}

function refuseAnotherFile({ file }: Connection, path: string): void {
  if (file === null || fileAt(path) === file) return
  throw new Estranged(
    `The ledger's database "${path}" was removed or replaced while farebox ran.`,
    'Put the file back, or stop farebox: it saves what it has as FILE.rescued for you to rename.',
  )
}

/** Must run inside a transaction: a newer farebox may migrate at any moment. */
function refuseAnotherSchema({ schemaVersion: version }: Connection, path: string): void {
  const found = Number(version.get()?.['user_version'])
  const known = SQLITE_MIGRATIONS.length
  if (found <= known) return
  throw new Estranged(
    `"${path}" was given schema version ${found} while farebox ran, which knows up to ${known}.`,
    'Stop this farebox: the version that wrote the file, or a later one, has to go on.',
  )
}

/** Device and number of the file that has this name; empty when none has. */
function fileAt(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? '' : `${found.dev}:${found.ino}`
}

/** A file without a name is gone once it is closed. */
function rescue({ db, file }: Connection, path: string): void {
  if (file === null || fileAt(path) === file) return
  try {
    db.prepare('VACUUM INTO ?').run(`${path}.rescued`)
  } catch {
    // An earlier rescue is there, or the disk refuses: nothing more can be done.
  }
}

function useWriteAheadLog(db: DatabaseSync, lockWaitMs: number): void {
  const deadline = performance.now() + lockWaitMs
  for (;;) {
    try {
      const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode']
      if (mode === 'wal' || mode === 'memory') return
      throw new Error(`its file system supports no write-ahead log, only "${String(mode)}"`)
    } catch (error) {
      const { remedy } = diagnose(error, '')
      if (remedy !== 'roll-back' || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MODE_RETRY_MS)
    }
  }
}

/** Takes the write lock first, so that of two processes that start together one migrates. */
function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  const version = schemaVersion(db)
  for (const sql of SQLITE_MIGRATIONS.slice(version)) db.exec(sql)
  db.exec(`PRAGMA user_version = ${SQLITE_MIGRATIONS.length}`)
  db.exec('COMMIT')
}

/**
 * After a failed fsync the system may show pages that never reached the disk. A whole checkpoint
 * writes them to the file again and syncs it, so what can be read afterwards is on the disk.
 */
function proveDurable(db: DatabaseSync, path: string): void {
  if (!existsSync(path) || schemaVersion(db) !== SQLITE_MIGRATIONS.length) {
    throw new Error('the file was replaced while farebox ran')
  }
  const checkpoint = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
  if (checkpoint?.['busy'] !== 0) throw new Error('another process keeps the log from being synced')
}

/** Throws `NewerSchema`. */
function schemaVersion(db: DatabaseSync): number {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > SQLITE_MIGRATIONS.length) throw new NewerSchema(version)
  return version
}

function openFailure(error: unknown, path: string): SqliteFailure {
  if (error instanceof NewerSchema) {
    return { kind: 'newer-schema', found: error.found, known: SQLITE_MIGRATIONS.length }
  }
  if (error instanceof Error && 'syscall' in error) {
    const message = `The directory of the ledger's database cannot be made (${error.message}).`
    const fix = 'Let the user that runs farebox write there, or give the store another path.'
    return { kind: 'unavailable', message, fix }
  }
  return diagnoseBatch(error, path).failure
}

/** As `diagnose`, where there is no single call to blame. */
function diagnoseBatch(error: unknown, path: string): Diagnosis {
  const diagnosis = diagnose(error, path)
  if (diagnosis.remedy !== 'refuse-call') return diagnosis
  return diagnose(new Error('a value was refused outside of any call', { cause: error }), path)
}

function closeQuietly(db: DatabaseSync): void {
  try {
    db.close()
  } catch {
    // It is being thrown away because it went bad: how it ends does not matter.
  }
}
