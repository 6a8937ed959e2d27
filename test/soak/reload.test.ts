import { afterAll, beforeAll, expect, test } from 'vitest'
import { countInside } from '../support/look-inside.ts'
import { readRows } from '../support/payments.ts'
import { figuresOf } from '../support/process-figures.ts'
import { type LoadPlan, startLoad } from './load.ts'
import { type FacesShop, openFacesShop } from './shop.ts'

/** RELOADS=100 is the long form. */
const RELOADS = Number(process.env['RELOADS'] ?? '10')
const PLAN: LoadPlan = {
  lanes: { free: 12, unpaid: 8, upload: 2, events: 1, paid: 1, upFront: 1, paidEvents: 1 },
  nuisancesPerSecond: 0,
  cheapPerSecond: 1_500,
}

let shop: FacesShop

beforeAll(async () => {
  shop = await openFacesShop()
})
afterAll(() => shop?.close())

test('reloads under load drop nothing, mix nothing and leave nothing behind', async () => {
  const { gateway, apis, counter } = shop
  const warm = startLoad(counter, PLAN)
  for (let turn = 0; turn < 2; turn++) await shop.turn()
  await warm.stop()
  await expect.poll(() => apis.blue.connections).toBe(0)
  const before = await countInside(gateway)

  const load = startLoad(counter, PLAN)
  const beganAt = performance.now()
  for (let turn = 0; turn < RELOADS; turn++) await shop.turn()
  const seconds = (performance.now() - beganAt) / 1_000
  const report = await load.stop()
  if (process.env['RELOADS'] !== undefined) {
    const perSecond = `${report.perSecond.toFixed(0)} visits a second`
    process.stdout.write(`${RELOADS} reloads in ${seconds.toFixed(1)} s under ${perSecond}\n`)
  }

  expect(report.failures).toEqual([])
  for (const kind of Object.keys(PLAN.lanes)) expect(report.byKind[kind]).toBeGreaterThan(0)
  // Red is in force again: the pools of blue have closed with their last requests.
  await expect.poll(() => apis.blue.connections).toBe(0)
  const pools = async (): Promise<number> => (await countInside(gateway)).pools
  await expect.poll(pools).toBe(before.pools)
  const after = await countInside(gateway)
  expect(after.resources['Timeout'] ?? 0).toBeLessThanOrEqual(
    (before.resources['Timeout'] ?? 0) + 4,
  )
  expect(after.heapUsed - before.heapUsed).toBeLessThan(6 * 1024 ** 2)
  // What is open are the pools in force: of one API and one facilitator.
  await expect.poll(() => figuresOf(gateway.pid).sockets).toBeLessThan(60)
  const states = (): Set<string> => new Set(readRows(shop.storeFile).map(({ state }) => state))
  await expect.poll(states).toEqual(new Set(['delivered']))
}, 600_000)
