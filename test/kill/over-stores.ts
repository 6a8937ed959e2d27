import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../support/postgres.ts'
import { type Books, postgresBooks, sqliteBooks } from './books.ts'
import type { Life } from './generation.ts'
import { type LaneResult, runLane } from './lane.ts'
import { openSlowLine } from './slow-line.ts'
import { warmUp } from './world.ts'

export const STORES = ['sqlite', 'postgres'] as const

/** To PostgreSQL and back takes twice as long: what is done too early is done by then. */
const LINE_MS = 6

export interface KillRun {
  readonly seed: number
  /** Of all stores together, half of them in each settle mode. */
  readonly kills: number
  readonly stores: readonly (typeof STORES)[number][]
  readonly onLife?: (life: Life) => void
}

/** Runs a lane over each store, all at the same time. */
export async function killOverStores(run: KillRun): Promise<LaneResult[]> {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'farebox-kill-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const compileCache = await warmUp(folder)
  const books = {
    sqlite: async () => sqliteBooks(join(folder, 'farebox.db')),
    async postgres(): Promise<Books> {
      const postgres = await startPostgres()
      opened.defer(() => postgres.close())
      const line = await openSlowLine(postgres.port, LINE_MS)
      opened.defer(() => line.close())
      return postgresBooks(postgres, 'kill', line)
    },
  }
  const { seed, stores, onLife } = run
  const kills = Math.ceil(run.kills / stores.length)
  const common = { seed, kills, compileCache, ...(onLife && { onLife }) }
  const lanes = await Promise.allSettled(
    stores.map(async name => runLane({ ...common, name, books: await books[name]() })),
  )
  return lanes.map(lane => {
    if (lane.status === 'fulfilled') return lane.value
    throw lane.reason
  })
}
