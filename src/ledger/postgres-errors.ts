import { type FareboxError, StoreUnavailableError } from '../errors.ts'
import { LedgerValueError } from './ledger-errors.ts'

/** What has to happen after a call failed. */
export type Remedy =
  /** Only this call's values are wrong. */
  | 'refuse-call'
  /** Nothing was written, and it may well work the next time. */
  | 'try-again'
  /** The call failed and the connection is well. */
  | 'keep-connection'
  /** Nobody knows what state the connection is in. */
  | 'drop-connection'

export interface PostgresDiagnosis {
  readonly remedy: Remedy
  readonly error: FareboxError
  /** The server has no connection left to give. */
  readonly crowded: boolean
}

/** Whose errors they are, and what must never stand in one. */
export interface Culprit {
  readonly name: string
  readonly password?: string | undefined
}

interface Sickness {
  readonly remedy: Remedy
  readonly what: string
  readonly fix: string
}

const TOO_MANY_CONNECTIONS = '53300'

const UNREACHABLE: Sickness = {
  remedy: 'drop-connection',
  what: 'cannot be reached',
  fix: 'Start it, and check the host and the port in store.url: farebox goes on by itself then.',
}

const LOST: Sickness = {
  remedy: 'drop-connection',
  what: 'has ended the connection',
  fix: 'See in its log why it ended: farebox connects again by itself.',
}

const SLOW: Sickness = {
  remedy: 'keep-connection',
  what: 'did not answer in time',
  fix: 'See in pg_stat_activity what it works on and who waits for a lock.',
}

const REFUSED: Sickness = {
  remedy: 'drop-connection',
  what: 'does not let us in',
  fix: 'Check the user and the password in store.url, and pg_hba.conf on the server.',
}

const NO_DATABASE: Sickness = {
  remedy: 'drop-connection',
  what: 'has no such database',
  fix: 'Create it with `createdb`, or correct the name at the end of store.url.',
}

const NOT_ALLOWED: Sickness = {
  remedy: 'drop-connection',
  what: 'does not allow what farebox needs',
  fix: 'Let the user in store.url create tables, or let one who may start farebox once.',
}

const NO_TABLES: Sickness = {
  remedy: 'drop-connection',
  what: "has lost farebox's tables",
  fix: 'Restore them from a backup: without them, payments that were used are forgotten.',
}

const READ_ONLY: Sickness = {
  remedy: 'drop-connection',
  what: 'takes no writes: it is a standby, or set to be read only',
  fix: 'Let store.url name the primary: farebox goes on by itself then.',
}

const EXHAUSTED: Sickness = {
  remedy: 'keep-connection',
  what: 'has run out of room',
  fix: 'Free disk or memory on its machine: farebox goes on by itself then.',
}

const CROWDED: Sickness = {
  remedy: 'drop-connection',
  what: 'has no connection left',
  fix: 'Raise max_connections on the server, or run fewer gateways.',
}

const UNTRUSTED: Sickness = {
  remedy: 'drop-connection',
  what: 'cannot prove who it is',
  fix: 'Name its certificate authority with sslrootcert=FILE in store.url.',
}

const CONTENDED: Sickness = {
  remedy: 'try-again',
  what: 'has undone a statement because of another',
  fix: 'Run farebox on tables that nobody else writes to.',
}

const UNEXPECTED: Sickness = {
  remedy: 'drop-connection',
  what: 'failed in an unexpected way',
  fix: 'Check the server and its log, and report the message if both are well.',
}

/** By SQLSTATE or its class, the first two characters (PostgreSQL documentation, appendix A). */
const SICKNESSES: ReadonlyMap<string, Sickness> = new Map([
  ['08', LOST],
  ['25006', READ_ONLY],
  ['28', REFUSED],
  ['3D000', NO_DATABASE],
  ['3F000', NO_TABLES],
  ['40', CONTENDED],
  ['42501', NOT_ALLOWED],
  ['42P01', NO_TABLES],
  ['53', EXHAUSTED],
  [TOO_MANY_CONNECTIONS, CROWDED],
  ['55P03', SLOW],
  ['57014', SLOW],
  ['57', LOST],
  ['57P03', UNREACHABLE],
])

/** 22 data exception, 23 integrity constraint violation, 54 program limit exceeded. */
const BAD_VALUE = /^(22|23|54)/

const UNREACHABLE_CODES = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'],
  ...['ENOENT', 'EACCES'],
])

/** How Node and OpenSSL call a certificate that they do not believe. */
const UNTRUSTED_CODE = /CERT|SIGNATURE|ISSUER|_SSL_|CHAIN/

/** Says what an error thrown by pg means. Its own message never leaves without being cleaned. */
export function diagnosePostgres(error: unknown, culprit: Culprit): PostgresDiagnosis {
  const sqlState = sqlStateOf(error)
  const detail = withoutPassword(messageOf(error), culprit.password)
  if (sqlState !== null && BAD_VALUE.test(sqlState)) {
    return { remedy: 'refuse-call', error: new LedgerValueError(detail), crowded: false }
  }
  const { remedy, what, fix } =
    sqlState === null ? connectionSickness(error) : serverSickness(sqlState)
  const message = `The ledger's PostgreSQL at ${culprit.name} ${what} (${detail}).`
  return {
    remedy,
    // Without its cause: pg hangs the client on some of its errors, and with it the password.
    error: new StoreUnavailableError(message, { fix }),
    crowded: sqlState === TOO_MANY_CONNECTIONS,
  }
}

/** An error for what no error of pg's tells. */
export function sickness(kind: 'lost-tables' | 'read-only', { name }: Culprit): FareboxError {
  const { what, fix } = kind === 'read-only' ? READ_ONLY : NO_TABLES
  return new StoreUnavailableError(`The ledger's PostgreSQL at ${name} ${what}.`, { fix })
}

function serverSickness(sqlState: string): Sickness {
  return SICKNESSES.get(sqlState) ?? SICKNESSES.get(sqlState.slice(0, 2)) ?? UNEXPECTED
}

function connectionSickness(error: unknown): Sickness {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (UNREACHABLE_CODES.has(code)) return UNREACHABLE
  if (UNTRUSTED_CODE.test(code)) return UNTRUSTED
  const message = messageOf(error)
  // pg gives these no code.
  if (/timeout/i.test(message)) return { ...SLOW, remedy: 'drop-connection' }
  if (/terminated|ECONNRESET|EPIPE|closed/i.test(`${message} ${code}`)) return LOST
  return UNEXPECTED
}

/** Only the server's own errors have a severity; codes of Node may look like a SQLSTATE. */
function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return null
  return typeof error.code === 'string' ? error.code : null
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

function withoutPassword(message: string, password: string | undefined): string {
  if (password === undefined) return message
  return message.replaceAll(password, '***').replaceAll(encodeURIComponent(password), '***')
}
