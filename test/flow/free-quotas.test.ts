import { expect, test } from 'vitest'
import type { FreeQuotaConfig } from '../../src/config/access-config.ts'
import { unixMs } from '../../src/core/time.ts'
import { StoreUnavailableError } from '../../src/errors.ts'
import { createFreeQuotas, endOf } from '../../src/flow/free-quotas.ts'

const quota: FreeQuotaConfig = { requests: 2, per: 'hour', by: 'address', route: null }
const NOON = Date.UTC(2026, 10, 26, 12)
const HOUR_MS = 3_600_000

/** A store that keeps what was taken, and says how often it was asked. */
function open(bounds: { usedUpMax?: number; clientsMax?: number } = {}) {
  const taken = new Map<string, number>()
  const errors: unknown[] = []
  const world = { now: NOON, asked: 0, failure: null as Error | null }
  const quotas = createFreeQuotas(
    {
      clock: () => unixMs(world.now),
      reportError: error => void errors.push(error),
      ledger: {
        async takeFreeRequest({ name, until, requests }) {
          world.asked++
          if (world.failure !== null) throw world.failure
          const used = (taken.get(`${name} ${until}`) ?? 0) + 1
          if (used > requests) return null
          taken.set(`${name} ${until}`, used)
          return requests - used
        },
      },
    },
    bounds,
  )
  return { ...quotas, world, errors, names: () => [...taken.keys()] }
}

test.each([
  ['hour', '2026-11-26T12:59:59.999Z', '2026-11-26T13:00:00.000Z'],
  ['hour', '2026-11-26T13:00:00.000Z', '2026-11-26T14:00:00.000Z'],
  ['day', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.000Z'],
  ['day', '2026-03-29T01:30:00.000Z', '2026-03-30T00:00:00.000Z'],
  ['month', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00.000Z'],
  ['month', '2028-02-29T00:00:00.000Z', '2028-03-01T00:00:00.000Z'],
] as const)('the %s that %s is in ends at %s', (per, now, end) => {
  expect(new Date(endOf(per, unixMs(Date.parse(now)))).toISOString()).toBe(end)
})

test('whoever has used everything up costs the store nothing until the next period', async () => {
  const { take, world } = open()
  expect([await take(quota, 'a'), await take(quota, 'a'), await take(quota, 'a')]).toEqual([
    ...[1, 0, null],
  ])
  for (let index = 0; index < 100; index++) expect(await take(quota, 'a')).toBeNull()
  expect(world.asked).toBe(3)
  world.now += HOUR_MS
  expect(await take(quota, 'a')).toBe(1)
})

test('how many are remembered is bounded, and who is forgotten is asked for again', async () => {
  const { take, world } = open({ usedUpMax: 2 })
  for (const client of ['a', 'b', 'c']) {
    for (let index = 0; index < 3; index++) await take(quota, client)
  }
  world.asked = 0
  expect([await take(quota, 'c'), world.asked]).toEqual([null, 0])
  expect([await take(quota, 'a'), world.asked]).toEqual([null, 1])
})

test('beyond so many new clients in a period nothing is free until the next one', async () => {
  const { take, world } = open({ clientsMax: 2 })
  expect([await take(quota, 'a'), await take(quota, 'a'), await take(quota, 'b')]).toEqual([
    ...[1, 0, 1],
  ])
  expect(await take(quota, 'c')).toBeNull()
  expect(await take({ ...quota, per: 'day' }, 'c')).toBe(1)
  world.now += HOUR_MS
  expect(await take(quota, 'c')).toBe(1)
})

test('periods, routes and kinds of clients are counted apart, whatever a client is called', async () => {
  const { take, names } = open()
  await take(quota, 'a')
  await take({ ...quota, route: 'GET /x' }, 'a')
  await take({ ...quota, per: 'day' }, 'a')
  await take({ ...quota, by: 'payer' }, 'a')
  await take(quota, 'a","hour",null]')
  expect(new Set(names()).size).toBe(5)
})

test('nothing is given away that cannot be counted, and that is said once', async () => {
  const { take, world, errors } = open()
  const failure = new StoreUnavailableError('gone', { fix: 'find it' })
  world.failure = failure
  expect([await take(quota, 'a'), await take(quota, 'a')]).toEqual([null, null])
  expect(errors).toEqual([failure])
  world.failure = null
  expect(await take(quota, 'a')).toBe(1)
})
