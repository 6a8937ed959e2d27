import type { SqliteFailure } from './sqlite-protocol.ts'

/** Primary codes, the low byte of every SQLite error code: https://sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const TOOBIG = 18
const CONSTRAINT = 19
const MISMATCH = 20
const NOTADB = 26

/** What has to happen before the database may be trusted again. */
type Remedy =
  /** Only this call's values are wrong: the rest of its batch goes on. */
  | 'refuse-call'
  /** Nothing is wrong with the connection: the next batch may try again. */
  | 'roll-back'
  /** What was written may not be what is on the disk: close, open, and prove it first. */
  | 'reopen'
  /** Nothing that is read can be believed any more. */
  | 'give-up'

export interface Diagnosis {
  readonly remedy: Remedy
  readonly failure: SqliteFailure
}

interface Sickness {
  readonly remedy: Remedy
  readonly what: string
  readonly fix: string
}

const LOCKED_BY_OTHERS: Sickness = {
  remedy: 'roll-back',
  what: 'is locked by another process',
  fix: 'See what else has it open (`fuser FILE`), such as a backup or a shell, and end that.',
}

const DAMAGED: Sickness = {
  remedy: 'give-up',
  what: 'is damaged or is not a SQLite database',
  fix: 'Stop farebox, restore the file from a backup or with `sqlite3 FILE .recover`, start again.',
}

const NOT_WRITABLE: Sickness = {
  remedy: 'reopen',
  what: 'cannot be opened for writing',
  fix: 'Let the user that runs farebox write to the file and to the directory that it is in.',
}

const SICKNESSES: ReadonlyMap<number, Sickness> = new Map([
  [BUSY, LOCKED_BY_OTHERS],
  [LOCKED, LOCKED_BY_OTHERS],
  [PROTOCOL, LOCKED_BY_OTHERS],
  [CORRUPT, DAMAGED],
  [NOTADB, DAMAGED],
  [READONLY, NOT_WRITABLE],
  [CANTOPEN, NOT_WRITABLE],
  [
    FULL,
    {
      remedy: 'roll-back',
      what: 'has no room left on its disk',
      fix: 'Free space on the disk that holds it: farebox goes on by itself then.',
    },
  ],
  [
    IOERR,
    {
      remedy: 'reopen',
      what: 'cannot be written or read reliably',
      fix: 'Check the disk and its quota: farebox opens the file anew with the next request.',
    },
  ],
])

const UNEXPECTED: Sickness = {
  remedy: 'reopen',
  what: 'failed in an unexpected way',
  fix: 'Check the file and its disk, and report the message if both are well.',
}

/** Says what an error thrown by node:sqlite means for the call, its batch and the connection. */
export function diagnose(error: unknown, path: string): Diagnosis {
  const code = resultCode(error)
  const detail = error instanceof Error ? error.message : String(error)
  if (code === null ? isBadArgument(error) : isBadValue(code)) {
    return { remedy: 'refuse-call', failure: { kind: 'value', detail } }
  }
  const sickness = (code === null ? undefined : SICKNESSES.get(code)) ?? UNEXPECTED
  return {
    remedy: sickness.remedy,
    failure: {
      kind: 'unavailable',
      message: `The ledger's database "${path}" ${sickness.what} (${detail}).`,
      fix: sickness.fix,
    },
  }
}

/** Whether another process has the lock that was asked for. */
export function isBusy(error: unknown): boolean {
  return resultCode(error) === BUSY
}

/** Whether SQLite did not even get to read: a file is missing, or may not be read or made. */
export function isNotOpened(error: unknown): boolean {
  const code = resultCode(error)
  return code === CANTOPEN || code === READONLY
}

function resultCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null
}

function isBadValue(code: number): boolean {
  return code === CONSTRAINT || code === MISMATCH || code === TOOBIG
}

function isBadArgument(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === 'ERR_INVALID_ARG_TYPE' || error.code === 'ERR_INVALID_ARG_VALUE'
}
