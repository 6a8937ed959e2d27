import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../support/postgres.ts'
import { postgresBooks, sqliteBooks } from './books.ts'
import type { Life } from './generation.ts'
import { type LaneResult, runLane } from './lane.ts'
import { warmUp } from './world.ts'

export interface KillRun {
  readonly seed: number
  /** Of both stores together, half of them in each settle mode. */
  readonly kills: number
  readonly onLife?: (life: Life) => void
}

/** Runs a lane over each store, both at the same time. */
export async function killOverBothStores({ kills, ...run }: KillRun): Promise<LaneResult[]> {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'farebox-kill-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const [postgres, compileCache] = await Promise.all([startPostgres(), warmUp(folder)])
  opened.defer(() => postgres.close())
  const common = { ...run, kills: Math.ceil(kills / 2), compileCache }
  const lanes = await Promise.allSettled([
    runLane({ ...common, name: 'sqlite', books: sqliteBooks(join(folder, 'farebox.db')) }),
    runLane({ ...common, name: 'postgres', books: await postgresBooks(postgres, 'kill') }),
  ])
  return lanes.map(lane => {
    if (lane.status === 'fulfilled') return lane.value
    throw lane.reason
  })
}
