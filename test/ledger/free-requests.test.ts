import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../support/postgres.ts'
import { killThoseInLine, lineUp } from './line-up.ts'

const TAKER = fileURLToPath(new URL('./take-free-at-a-signal.ts', import.meta.url))
const PROCESSES = 4
const TIMES = 25
const REQUESTS = 40

let postgres: TestPostgres
let folder: string
beforeAll(async () => {
  ;[postgres, folder] = await Promise.all([
    startPostgres(),
    mkdtemp(join(tmpdir(), 'farebox-free-')),
  ])
})
afterEach(killThoseInLine)
afterAll(async () => {
  await Promise.all([postgres.close(), rm(folder, { recursive: true, force: true })])
})

test.each([
  ['SQLite', async () => join(folder, 'farebox.db')],
  ['PostgreSQL', () => postgres.createSchema('free')],
])('four processes on one %s never give more away than there is', async (_name, storeUrl) => {
  const url = await storeUrl()
  const until = Date.now() + 3_600_000
  const parameters = [url, REQUESTS, TIMES, until]
  const takers = await Promise.all(
    Array.from({ length: PROCESSES }, () => lineUp<(number | null)[]>(TAKER, parameters)),
  )
  const taken = (await Promise.all(takers.map(go => go()))).flat()
  const left = taken.filter(one => one !== null).sort((one, other) => one - other)
  expect(left).toEqual(Array.from({ length: REQUESTS }, (_, index) => index))
  expect(taken).toHaveLength(PROCESSES * TIMES)
})
