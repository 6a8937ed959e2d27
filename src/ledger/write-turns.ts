import type { DatabaseSync } from 'node:sqlite'
import { isBusy } from './sqlite-errors.ts'

/** How long a process writes on while others wait. Shorter turns would be fairer, and slower. */
const TURN_MS = 20
/** How long the file is left to the others after a turn: longer than they pause between tries. */
const LEFT_MS = 4
/** SQLite pauses 1 ms and 2 within it. Left to itself it goes on to 100 ms, and comes too late. */
const TRY_MS = 3
/** For how long others are reckoned with after the file was last found locked. */
const RIVALS_MS = 1_000

/** In milliseconds. */
export interface TurnTime {
  now(): number
  /** Stops the thread. */
  pause(milliseconds: number): void
}

/**
 * Takes the file's write lock, and leaves it to other processes in time. SQLite knows no order
 * among those that wait: whoever has just written is the first to ask again, and would write for as
 * long as it has something to write.
 */
export class WriteTurns {
  readonly #waitMs: number
  readonly #time: TurnTime
  #foundLockedAt = Number.NEGATIVE_INFINITY
  #turnBeganAt = Number.NEGATIVE_INFINITY

  /** @param waitMs How long others are waited for. */
  constructor(waitMs: number, time: TurnTime = MACHINE) {
    this.#waitMs = waitMs
    this.#time = time
  }

  /** Begins a transaction that writes. Throws SQLITE_BUSY when others keep the file locked. */
  begin(db: Pick<DatabaseSync, 'exec'>): void {
    const askedAt = this.#time.now()
    this.#leaveAfterTurn(askedAt)
    waitFor(db, 0)
    try {
      if (begins(db, this.#waitMs > 0)) return
      waitFor(db, TRY_MS)
      for (;;) {
        const now = this.#time.now()
        this.#foundLockedAt = now
        this.#turnBeganAt = now
        if (begins(db, now - askedAt < this.#waitMs)) return
      }
    } finally {
      waitFor(db, this.#waitMs)
    }
  }

  #leaveAfterTurn(now: number): void {
    const hasRivals = now - this.#foundLockedAt < RIVALS_MS
    if (!hasRivals || now - this.#turnBeganAt < TURN_MS) return
    this.#time.pause(LEFT_MS)
    this.#turnBeganAt = this.#time.now()
  }
}

/** How long SQLite itself tries for a lock before it says that there is one. */
function waitFor(db: Pick<DatabaseSync, 'exec'>, milliseconds: number): void {
  db.exec(`PRAGMA busy_timeout = ${milliseconds}`)
}

/** False: the file is locked, and may be. */
function begins(db: Pick<DatabaseSync, 'exec'>, mayBeLocked: boolean): boolean {
  try {
    db.exec('BEGIN IMMEDIATE')
    return true
  } catch (error) {
    if (mayBeLocked && isBusy(error)) return false
    throw error
  }
}

const NOTHING = new Int32Array(new SharedArrayBuffer(4))

const MACHINE: TurnTime = {
  now: () => performance.now(),
  pause: milliseconds => void Atomics.wait(NOTHING, 0, 0, milliseconds),
}
