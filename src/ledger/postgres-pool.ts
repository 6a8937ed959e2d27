import { readFileSync } from 'node:fs'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'
import { type ClientBase, Pool, types } from 'pg'
import { StoreUnavailableError } from '../errors.ts'
import { originalText } from './postgres-text.ts'
import type { PostgresTarget, PostgresTls } from './postgres-url.ts'

export interface PoolLimits {
  readonly connectionsMax: number
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
}

/** How much later than the server we give up on an answer ourselves, should the server be gone. */
const ANSWER_MARGIN_MS = 1000
const IDLE_MS = 60_000
/** So that after a failover no gateway stays for ever on the machine that it found first. */
const LIFETIME_SECONDS = 3600

/** Type ids (PostgreSQL's catalog, pg_type.dat). */
const INT8 = 20
const TEXT = 25

/** Rejects with `StoreUnavailableError` when a file that the URL names cannot be read. */
export function createPool(target: PostgresTarget, limits: PoolLimits): Pool {
  const pool = new Pool({
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    password: target.password,
    ssl: target.tls === null ? false : tlsOptions(target.tls, target.host),
    enableChannelBinding: target.channelBinding,
    application_name: target.applicationName,
    options: target.serverOptions,
    keepAlive: true,
    max: limits.connectionsMax,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    query_timeout: limits.statementTimeoutMs + ANSWER_MARGIN_MS,
    idleTimeoutMillis: IDLE_MS,
    maxLifetimeSeconds: LIFETIME_SECONDS,
    types: { getTypeParser: parserOf as typeof types.getTypeParser }, // its overloads say the same
  })
  // An idle connection ended. The next call that needs one says what is wrong, if anything is.
  pool.on('error', () => undefined)
  return pool
}

/**
 * Makes a new connection fit for claims: durable commits, no statement without an end, and no plan
 * that was right for an empty table and reads all of a full one. By SQL, because connection poolers
 * refuse to pass on what they do not know.
 *
 * @returns False when the server takes no writes, as a standby.
 */
export async function prepareSession(
  client: ClientBase,
  { statementTimeoutMs }: PoolLimits,
): Promise<boolean> {
  // Between two queries nobody listens, and an unheard error would end the process.
  client.on('error', () => undefined)
  const { rows } = await client.query(
    `SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS writable,
       set_config('statement_timeout', $1, false),
       set_config('idle_in_transaction_session_timeout', $1, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
         WHEN 'off' THEN 'on' WHEN 'local' THEN 'on'
         ELSE current_setting('synchronous_commit') END, false)`,
    [String(statementTimeoutMs)],
  )
  return rows[0]?.writable === true
}

function parserOf(oid: number, format: 'text'): (text: string) => unknown {
  if (oid === INT8) return Number
  if (oid === TEXT) return originalText
  return types.getTypeParser(oid, format)
}

function tlsOptions(tls: PostgresTls, host: string): ConnectionOptions {
  return {
    ...fileOption('ca', tls.rootCertificate),
    ...fileOption('cert', tls.certificate),
    ...fileOption('key', tls.key),
    rejectUnauthorized: tls.verify !== 'none',
    // Node would compare with "localhost" where the URL has an IP address.
    checkServerIdentity: (_name, certificate) =>
      tls.verify === 'full' ? checkServerIdentity(host, certificate) : undefined,
  }
}

function fileOption(name: 'ca' | 'cert' | 'key', path: string | null): ConnectionOptions {
  if (path === null) return {}
  try {
    return { [name]: readFileSync(path, 'utf8') }
  } catch (cause) {
    throw new StoreUnavailableError(`"${path}", which store.url names, cannot be read.`, {
      fix: 'Correct the path, and let the user that runs farebox read the file.',
      cause,
    })
  }
}
