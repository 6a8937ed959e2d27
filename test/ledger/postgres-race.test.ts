import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { POSTGRES_MIGRATIONS } from '../../src/ledger/migrations/postgres.ts'
import { openPostgresLedger } from '../../src/ledger/postgres.ts'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { claimed, claimedAs, claimRequest, STATES, tally } from './claim-fixtures.ts'
import { killThoseInLine, lineUp } from './line-up.ts'

const RACER = fileURLToPath(new URL('./claim-at-a-signal.ts', import.meta.url))
const PROCESSES = 4
const TIMES = 25

let server: TestPostgres
let opened: Ledger[] = []
let schemas = 0
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())
afterEach(async () => {
  killThoseInLine()
  await Promise.all(opened.map(ledger => ledger.close()))
  opened = []
})

async function emptyUrl(): Promise<string> {
  schemas += 1
  return server.createSchema(`race_${schemas}`)
}

async function open(url: string): Promise<Ledger> {
  const ledger = await openPostgresLedger({ url })
  opened.push(ledger)
  return ledger
}

function request(key = 'one') {
  return claimRequest({ key, heldUntil: unixMs(Date.now() + 60_000) })
}

const racer = (url: string) => lineUp<Record<string, number>>(RACER, [url, 'one', TIMES])

function sumOf(tallies: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const each of tallies) {
    for (const [kind, count] of Object.entries(each)) sum[kind] = (sum[kind] ?? 0) + count
  }
  return sum
}

describe('four processes', () => {
  it('claim one new payment a hundred times at once, and one claim wins', async () => {
    const url = await emptyUrl()
    const racers = await Promise.all(Array.from({ length: PROCESSES }, () => racer(url)))
    const tallies = await Promise.all(racers.map(go => go()))
    expect(sumOf(tallies)).toEqual({ claimed: 1, 'in-progress': PROCESSES * TIMES - 1 })
  })

  it('take over one payment that was let go, and one takeover wins', async () => {
    const url = await emptyUrl()
    await claimedAs('released', await open(url), request())
    const racers = await Promise.all(Array.from({ length: PROCESSES }, () => racer(url)))
    const tallies = await Promise.all(racers.map(go => go()))
    expect(sumOf(tallies)).toEqual({ claimed: 1, 'in-progress': PROCESSES * TIMES - 1 })
  })

  it('redeem one settled payment, and one of them gets it', async () => {
    const url = await emptyUrl()
    const ledger = await open(url)
    await ledger.endHold(await claimedAs('settled', ledger, request()))
    const racers = await Promise.all(Array.from({ length: PROCESSES }, () => racer(url)))
    const tallies = await Promise.all(racers.map(go => go()))
    expect(sumOf(tallies)).toEqual({ entitled: 1, 'in-progress': PROCESSES * TIMES - 1 })
  })
})

describe('eight that start at the same moment on an empty database', () => {
  it('make the schema once, and all of them can use it', async () => {
    const url = await emptyUrl()
    const ledgers = await Promise.all(Array.from({ length: 8 }, () => open(url)))
    const outcomes = await Promise.all(ledgers.map(ledger => ledger.claim(request())))
    expect(tally(outcomes)).toEqual({ claimed: 1, 'in-progress': 7 })
    const versions = await server.query(`SELECT version FROM race_${schemas}.farebox_schema`)
    expect(versions.length).toBe(POSTGRES_MIGRATIONS.length)
  })
})

describe('counts', () => {
  it('are what a count of the rows says, whoever wrote them and however fast', async () => {
    const url = await emptyUrl()
    const [ledger, other] = await Promise.all([open(url), open(url)])
    const work = Array.from({ length: 120 }, async (_, index) => {
      const state = STATES[index % STATES.length] ?? 'forwarded'
      await claimedAs(state, index % 2 === 0 ? ledger : other, request(`key ${index}`))
    })
    await Promise.all(work)
    await claimed(ledger, request('newest'))
    await server.query(`DELETE FROM race_${schemas}.farebox_claims WHERE state = 'delivered'`)
    const rows = await server.query(
      `SELECT state, count(*)::int AS claims FROM race_${schemas}.farebox_claims GROUP BY state`,
    )
    const counted = Object.fromEntries(rows.map(row => [row['state'], row['claims']]))
    expect(await other.countByState()).toEqual({ delivered: 0, ...counted })
  })
})
