import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { prepareSession } from '../../src/ledger/postgres-pool.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { claimRequest } from './claim-fixtures.ts'

const LIMITS = { connectionsMax: 1, connectTimeoutMs: 1000, statementTimeoutMs: 1234 }

let directory = ''
let server: TestPostgres
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'farebox-tls-'))
  chmodSync(directory, 0o755)
  makeCertificate('server', '127.0.0.1')
  makeCertificate('other', '127.0.0.2')
  server = await startPostgres({
    ssl: 'on',
    ssl_cert_file: join(directory, 'server.pem'),
    ssl_key_file: join(directory, 'server.key'),
  })
})
afterAll(async () => {
  await server.close()
  rmSync(directory, { recursive: true })
})

/** A certificate that proves itself, for one address. */
function makeCertificate(name: string, address: string): void {
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=farebox test'],
      ...['-addext', `subjectAltName=IP:${address}`],
    ],
    { stdio: 'ignore' },
  )
  if (process.geteuid?.() === 0) {
    // PostgreSQL reads a root's key only when its own group may, and nobody else.
    execFileSync('chgrp', ['postgres', key])
    chmodSync(key, 0o640)
  }
}

async function kindWith(parameters: string): Promise<string> {
  const ledger = await openPostgresLedger({ url: `${server.url}?${parameters}` })
  const heldUntil = unixMs(Date.now() + 60_000)
  try {
    return (await ledger.claim(claimRequest({ key: parameters, heldUntil }))).kind
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await ledger.close()
  }
}

describe('TLS', () => {
  it.each(['require', 'verify-full', 'verify-ca'])('proves the server with %s', async mode => {
    const root = `sslrootcert=${join(directory, 'server.pem')}`
    expect(await kindWith(`sslmode=${mode}&${root}`)).toBe('claimed')
  })

  it.each(['require', 'verify-full'])(
    'refuses a server that nobody vouches for: %s',
    async mode => {
      expect(await kindWith(`sslmode=${mode}`)).toMatch(/cannot prove who it is/)
    },
  )

  it('refuses a server that another authority vouches for', async () => {
    const root = `sslrootcert=${join(directory, 'other.pem')}`
    expect(await kindWith(`sslmode=verify-ca&${root}`)).toMatch(/cannot prove who it is/)
  })

  it('encrypts for whoever answers only when told so', async () => {
    expect(await kindWith('sslmode=no-verify')).toBe('claimed')
  })

  it('cares for the name only where it is asked to', async () => {
    const elsewhere = server.url.replace('127.0.0.1', 'localhost')
    const root = `sslrootcert=${join(directory, 'server.pem')}`
    const full = await openPostgresLedger({ url: `${elsewhere}?sslmode=verify-full&${root}` })
    await expect(full.countByState()).rejects.toThrow(/cannot prove who it is/)
    await full.close()
    const chain = await openPostgresLedger({ url: `${elsewhere}?sslmode=verify-ca&${root}` })
    expect(await chain.countByState()).toMatchObject({ released: 0 })
    await chain.close()
  })
})

describe('a session', () => {
  it.each([
    ['off', 'on'],
    ['local', 'on'],
    ['on', 'on'],
    ['remote_apply', 'remote_apply'],
  ])('makes commits durable where the server has them %s', async (set, expected) => {
    const client = new Client(server.url)
    await client.connect()
    await client.query(`SET synchronous_commit = ${set}`)
    expect(await prepareSession(client, LIMITS)).toBe(true)
    const shown = async (name: string) => (await client.query(`SHOW ${name}`)).rows[0][name]
    expect(await shown('synchronous_commit')).toBe(expected)
    expect(await shown('statement_timeout')).toBe('1234ms')
    await client.end()
  })
})
