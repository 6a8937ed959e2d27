/**
 * `npm run bench:store`: what the stores carry, alone and in the paid path, with one process and with
 * several. docs/scaling.md is made from it. `--quick` is a smoke test, `--json` is for programs.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts'
import { type ClaimersResult, runClaimers } from './claimers.ts'
import { PAID_PATH } from './farebox.ts'
import { runLoad } from './load.ts'
import { paidRequests, signPayments } from './payments.ts'
import { openWorld, type World } from './world.ts'

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
})

const MILLISECONDS = options.quick ? 500 : 3_000
/** Payments through the gateway; the first part warms it up. */
const PAYMENTS = options.quick ? 300 : 3_000
const WARM_UP = options.quick ? 100 : 1_000
const CALLERS = 32
const CONNECTIONS = 64
const PROCESSES = { sqlite: [1, 2, 4], postgres: [1, 2, 4, 8] } as const

type StoreName = keyof typeof PROCESSES

interface Row {
  readonly store: StoreName
  readonly what: string
  readonly processes: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
}

const rows: Row[] = []
let opened = 0
const world = await openWorld()
// As an operator runs it: what it has answered is on the disk.
const postgres = await startPostgres({ fsync: 'on', shared_buffers: '256MB' })
try {
  const syncsPerSecond = measureDisk(join(world.folder, 'syncs'))
  const stores: readonly StoreName[] = ['sqlite', 'postgres']
  for (const store of stores) {
    for (const work of ['claims', 'payments'] as const) {
      for (const processes of PROCESSES[store]) rows.push(await claimers(store, work, processes))
    }
  }
  const statements = await statementsPerPayment(postgres)
  for (const store of stores) {
    for (const workers of [1, 2, 4]) rows.push(await gateway(world, store, workers))
  }
  tell({ syncsPerSecond, statements })
} finally {
  await world.close()
  await postgres.close()
}

async function storeUrl(store: StoreName): Promise<string> {
  opened += 1
  if (store === 'postgres') return postgres.createSchema(`store_${opened}`)
  return `sqlite:${join(world.folder, `store-${opened}.db`)}`
}

async function claimers(
  store: StoreName,
  work: 'claims' | 'payments',
  processes: number,
): Promise<Row> {
  const plan = { storeUrl: await storeUrl(store), work, processes, milliseconds: MILLISECONDS }
  const result: ClaimersResult = await runClaimers({ ...plan, callers: CALLERS })
  return { store, what: `ledger alone: ${work}`, processes, ...result }
}

/** The whole paid path: load, API and facilitator run on the same machine. */
async function gateway(world: World, store: StoreName, workers: number): Promise<Row> {
  const farebox = await world.startFarebox({ store: await storeUrl(store), workers })
  const requests = await paidRequests(farebox.port, PAID_PATH, signPayments(PAYMENTS))
  const load = { port: farebox.port, connections: CONNECTIONS, status: 200 }
  const [first, rest] = [requests.slice(0, WARM_UP), requests.slice(WARM_UP)]
  await runLoad({ ...load, requests: first, count: first.length })
  const { requestsPerSecond, latenciesMs } = await runLoad({
    ...load,
    requests: rest,
    count: rest.length,
  })
  await world.stopContestants()
  const at = (share: number): number => latenciesMs[Math.floor(latenciesMs.length * share)] ?? 0
  const what = 'gateway: paid requests'
  const times = { p50Ms: at(0.5), p99Ms: at(0.99), failed: 0 }
  return { store, what, processes: workers, perSecond: requestsPerSecond, ...times }
}

/** What the disk bounds: one write after the other, each waited for. */
function measureDisk(file: string): number {
  const descriptor = openSync(file, 'w')
  const page = Buffer.alloc(4096, 1)
  const begin = performance.now()
  let count = 0
  for (; performance.now() - begin < MILLISECONDS / 4; count += 1) {
    writeSync(descriptor, page, 0, page.length, (count % 256) * page.length)
    fdatasyncSync(descriptor)
  }
  closeSync(descriptor)
  return (count / (performance.now() - begin)) * 1000
}

interface Statements {
  readonly transactionsPerPayment: number
  readonly transactionsPerSecond: number
}

/** As PostgreSQL counts them, while four processes do all that the ledger does for payments. */
async function statementsPerPayment(server: TestPostgres): Promise<Statements> {
  const commits = async (): Promise<number> => {
    const [row] = await server.query(
      `SELECT pg_stat_clear_snapshot(), xact_commit FROM pg_stat_database
        WHERE datname = current_database()`,
    )
    return Number(row?.['xact_commit'])
  }
  const before = await commits()
  const { perSecond } = await claimers('postgres', 'payments', 4)
  const payments = (perSecond * MILLISECONDS) / 1000
  // A backend reports what it did at the latest when it ends.
  const transactions = (await commits()) - before
  return {
    transactionsPerPayment: transactions / payments,
    transactionsPerSecond: (transactions / MILLISECONDS) * 1000,
  }
}

function tell(found: { readonly syncsPerSecond: number; readonly statements: Statements }): void {
  const { syncsPerSecond, statements } = found
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`
  if (options.json) {
    console.log(JSON.stringify({ machine, ...found, rows }))
    return
  }
  console.log(`Node.js ${process.versions.node}, ${machine}`)
  console.log(`disk: ${syncsPerSecond.toFixed(0)} fdatasync a second, one after the other\n`)
  console.log('store     what                    processes  per second  p50 ms  p99 ms  failed')
  for (const row of rows) {
    const { store, what, processes, perSecond, p50Ms, p99Ms, failed } = row
    const numbers = [
      String(processes).padStart(9),
      perSecond.toFixed(0).padStart(10),
      p50Ms.toFixed(1).padStart(6),
      p99Ms.toFixed(1).padStart(6),
      String(failed).padStart(6),
    ]
    console.log(`${store.padEnd(8)}  ${what.padEnd(22)}  ${numbers.join('  ')}`)
  }
  const { transactionsPerPayment, transactionsPerSecond } = statements
  console.log(
    `\nPostgreSQL: ${transactionsPerPayment.toFixed(1)} transactions for each payment, ` +
      `${transactionsPerSecond.toFixed(0)} a second with four processes`,
  )
}
