import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { openPostgresLedger, type PostgresLedgerOptions } from '../../src/ledger/postgres.ts'
import { POSTGRES_PASSWORD, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { claimed, claimRequest, tally } from './claim-fixtures.ts'

const UNAVAILABLE = { code: 'store_unavailable' }

let server: TestPostgres
let opened: Ledger[] = []
let lockers: Client[] = []
let schemas = 0
beforeAll(async () => {
  server = await startPostgres({ max_connections: '40' })
})
afterAll(() => server.close())
afterEach(async () => {
  await Promise.all(lockers.map(client => client.end()))
  lockers = []
  await Promise.all(opened.map(ledger => ledger.close()))
  opened = []
})

async function emptyUrl(): Promise<string> {
  schemas += 1
  return server.createSchema(schema())
}

function schema(): string {
  return `failure_${schemas}`
}

async function open(url: string, options: Partial<PostgresLedgerOptions> = {}): Promise<Ledger> {
  const ledger = await openPostgresLedger({ url, ...options })
  opened.push(ledger)
  return ledger
}

function request(key: string) {
  return claimRequest({ key, heldUntil: unixMs(Date.now() + 60_000) })
}

/** Keeps everybody from writing claims until it is told to stop. */
async function lockClaims(): Promise<() => Promise<void>> {
  const client = new Client(server.url)
  client.on('error', () => undefined)
  lockers.push(client)
  await client.connect()
  await client.query(`BEGIN; LOCK TABLE ${schema()}.farebox_claims IN ACCESS EXCLUSIVE MODE`)
  return async () => {
    await client.query('ROLLBACK')
  }
}

/** Resolves when so many statements wait for a lock. */
async function waitingForLock(count = 1): Promise<void> {
  const sql = "SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
  await expect.poll(async () => (await server.query(sql))[0]?.['waiting']).toBe(count)
}

/** A way to the server on which, once cut, what is connected gets no answer any more. */
async function cuttableLine(serverPort: number) {
  const sockets: Socket[] = []
  const line = createServer(near => {
    const far = connect(serverPort, '127.0.0.1')
    sockets.push(near, far)
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) socket.on('error', () => undefined)
  })
  line.listen(0, '127.0.0.1')
  await once(line, 'listening')
  const address = line.address()
  return {
    port: typeof address === 'object' ? address?.port : undefined,
    cut() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      line.close()
    },
  }
}

async function kindOf(outcome: Promise<{ readonly kind: string }>): Promise<string> {
  try {
    return (await outcome).kind
  } catch {
    return 'rejected'
  }
}

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('It was expected to fail.')
}

describe('a database that is not there', () => {
  it('is refused at once without its password, and used as soon as it is there', async () => {
    const url = await emptyUrl()
    await server.stop()
    try {
      const ledger = await open(url)
      const error = await errorOf(ledger.claim(request('a')))
      expect(error).toMatchObject({
        ...UNAVAILABLE,
        message: expect.stringContaining(`127.0.0.1:${server.port}/postgres cannot be reached`),
        fix: expect.stringContaining('store.url'),
      })
      expect(JSON.stringify([error, error.message, error.stack])).not.toContain(POSTGRES_PASSWORD)
      await expect(ledger.countByState()).rejects.toMatchObject(UNAVAILABLE)
      await server.start()
      await expect.poll(() => kindOf(ledger.claim(request('a')))).toBe('claimed')
    } finally {
      await server.stop()
      await server.start()
    }
  })

  it('is given up for now when it takes the connection and says nothing', async () => {
    const sockets: Socket[] = []
    const silent: Server = createServer(socket => sockets.push(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    const ledger = await open(`postgres://u:p@127.0.0.1:${port}/d`, { connectTimeoutMs: 50 })
    await expect(ledger.claim(request('a'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('in time'),
    })
    await ledger.close()
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
})

describe('a database that goes away', () => {
  it('fails the claim under way, refuses the next, and comes back with all it had', async () => {
    const ledger = await open(await emptyUrl())
    await claimed(ledger, request('before'))
    await lockClaims()
    const underWay = errorOf(ledger.claim(request('under way')))
    await waitingForLock()
    await server.crash()
    try {
      expect(await underWay).toMatchObject(UNAVAILABLE)
      expect(await errorOf(ledger.claim(request('while it is away')))).toMatchObject(UNAVAILABLE)
    } finally {
      await server.start()
    }
    await expect.poll(() => kindOf(ledger.claim(request('after')))).toBe('claimed')
    expect(await kindOf(ledger.claim(request('before')))).toBe('in-progress')
    expect(await kindOf(ledger.recall(request('under way')))).toBe('unclaimed')
  })

  it('costs at most the calls on the connections that it ended', async () => {
    const ledger = await open(await emptyUrl())
    await Promise.all(['a', 'b', 'c', 'd'].map(key => claimed(ledger, request(key))))
    const others = 'pid <> pg_backend_pid()'
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IS NOT NULL AND ${others}`,
    )
    await expect.poll(() => kindOf(ledger.claim(request('e')))).toBe('claimed')
    const more = ['f', 'g', 'h'].map(key => ledger.claim(request(key)))
    expect(tally(await Promise.all(more))).toEqual({ claimed: 3 })
  })

  it('is not waited for on each connection that it left half open', async () => {
    const url = await emptyUrl()
    const line = await cuttableLine(server.port)
    const ledger = await open(url.replace(`:${server.port}`, `:${line.port}`), {
      ...{ connectionsMax: 4, statementTimeoutMs: 1_000 },
    })
    await Promise.all(['a', 'b', 'c', 'd'].map(key => claimed(ledger, request(key))))
    line.cut()
    await expect(ledger.claim(request('e'))).rejects.toMatchObject(UNAVAILABLE)
    const more = ['f', 'g', 'h'].map(key => ledger.claim(request(key)))
    expect(tally(await Promise.all(more))).toEqual({ claimed: 3 })
    await ledger.close()
    line.close()
  })

  it('is not replaced by an empty one, which would have forgotten every payment', async () => {
    const ledger = await open(await emptyUrl())
    await claimed(ledger, request('a'))
    await server.query(`DROP SCHEMA ${schema()} CASCADE; CREATE SCHEMA ${schema()}`)
    const lost = { ...UNAVAILABLE, message: expect.stringContaining('lost') }
    await expect(ledger.claim(request('a'))).rejects.toMatchObject(lost)
    await server.stop()
    await errorOf(ledger.claim(request('a')))
    await server.start()
    await expect
      .poll(async () => (await errorOf(ledger.claim(request('a')))).message)
      .toMatch(/lost/)
    const there = await server.query(`SELECT to_regclass('${schema()}.farebox_claims') AS there`)
    expect(there).toEqual([{ there: null }])
  })
})

describe('a database that is slow', () => {
  it('is waited for no longer than agreed, and used again when it answers', async () => {
    const ledger = await open(await emptyUrl(), { statementTimeoutMs: 150 })
    const unlock = await lockClaims()
    await expect(ledger.claim(request('a'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('in time'),
    })
    await unlock()
    expect(await kindOf(ledger.claim(request('a')))).toBe('claimed')
  })

  it('gets no more than may wait for it', async () => {
    const ledger = await open(await emptyUrl(), { connectionsMax: 1, waitingMax: 2 })
    const unlock = await lockClaims()
    const asked = ['a', 'b', 'c', 'd', 'e'].map(key => kindOf(ledger.claim(request(key))))
    await waitingForLock()
    await unlock()
    expect(await Promise.all(asked)).toEqual([
      ...['claimed', 'claimed', 'claimed', 'rejected', 'rejected'],
    ])
  })
})

describe('a server that has few connections left', () => {
  it('is used with those that it gave', async () => {
    await server.query(
      "CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2; CREATE SCHEMA AUTHORIZATION few",
    )
    const url = server.url.replace(/\/\/.*@/, '//few:few@')
    const ledger = await open(url, { connectionsMax: 10 })
    const claims = Array.from({ length: 60 }, (_, index) => ledger.claim(request(`key ${index}`)))
    expect(tally(await Promise.all(claims))).toEqual({ claimed: 60 })

    const late = await open(url)
    await expect(late.claim(request('late'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('no connection left'),
      fix: expect.stringContaining('max_connections'),
    })
    await ledger.close()
    await expect.poll(() => kindOf(late.claim(request('late')))).toBe('claimed')
  })
})

describe('a database that does not let us', () => {
  it('says that the password is wrong, and not what it is', async () => {
    const wrong = 'n0t-the-passw0rd'
    const ledger = await open(server.url.replace(POSTGRES_PASSWORD, wrong))
    const error = await errorOf(ledger.claim(request('a')))
    expect(error).toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('password authentication failed'),
      fix: expect.stringContaining('pg_hba.conf'),
    })
    expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain(wrong)
  })

  it.each([
    ['a database that it has not', (url: string) => `${url}-of-nobody`, 'no such database'],
    ['TLS of a server without it', (url: string) => `${url}?sslmode=require`, 'SSL'],
  ])('says so when asked for %s', async (_what, change, word) => {
    const ledger = await open(change(server.url))
    await expect(ledger.claim(request('a'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining(word),
    })
  })

  it('says so when it is read-only, and goes on when it is not any more', async () => {
    const url = await emptyUrl()
    await server.query('ALTER ROLE postgres SET default_transaction_read_only = on')
    const ledger = await open(url)
    await expect(ledger.claim(request('a'))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('no writes'),
    })
    const reset = 'ALTER ROLE postgres RESET default_transaction_read_only'
    await server.query(`BEGIN READ WRITE; ${reset}; COMMIT`)
    await expect.poll(() => kindOf(ledger.claim(request('a')))).toBe('claimed')
  })

  it('refuses the schema of a newer farebox, and leaves it as it is', async () => {
    const url = await emptyUrl()
    await server.query(
      `CREATE TABLE ${schema()}.farebox_schema (version INTEGER PRIMARY KEY);
       INSERT INTO ${schema()}.farebox_schema VALUES (1), (999)`,
    )
    await expect(open(url)).rejects.toMatchObject({
      code: 'ledger_schema_newer',
      message: expect.stringContaining('999'),
    })
    const there = await server.query(`SELECT to_regclass('${schema()}.farebox_claims') AS there`)
    expect(there).toEqual([{ there: null }])
  })

  it.each([
    ['mysql://u:hush@h/d', 'PostgreSQL URL'],
    ['postgres://u:hush@h/d?sslmode=require&sslrootcert=/not/there.pem', '/not/there.pem'],
  ])('refuses the URL %s without repeating it', async (url, word) => {
    const error = await errorOf(open(url))
    expect(error).toMatchObject({ ...UNAVAILABLE, message: expect.stringContaining(word) })
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain('hush')
  })
})
