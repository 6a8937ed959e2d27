import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildDiskShop, CONTENT, type DiskShop } from '../support/disk-shop.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'
import {
  type Cure,
  canFreeze,
  canLimitFileSize,
  fillDisk,
  freeze,
  lockStore,
  raiseSchema,
} from '../support/store-faults.ts'
import { buildSyncFault } from '../support/sync-fault.ts'

const syncFault = buildSyncFault()
let shop: DiskShop

beforeAll(async () => {
  shop = await buildDiskShop(syncFault ?? {})
})
afterAll(async () => {
  await shop.close()
  syncFault?.close()
})
beforeEach(() => shop.open())
afterEach(() => shop.shut())

async function readiness(): Promise<{ status: number; reasons: string }> {
  const reply = await fetch(`${shop.gateway.adminUrl}/readyz`)
  return { status: reply.status, reasons: JSON.stringify(await reply.json()) }
}

/** Pays and gets what was paid for. */
async function buy(payment: string): Promise<void> {
  const paid = await pay(shop.url, payment)
  expect(paid.status).toBe(200)
  expect(await paid.text()).toContain(CONTENT)
}

/** Pays, and gets nothing for nothing: told to come back, while what is free stays up. */
async function expectOutage(payment: string, why: RegExp): Promise<void> {
  const [executed, settles] = [shop.executions, shop.world.facilitator.calls.settle.length]
  const earned = await shop.earned()
  const refused = await pay(shop.url, payment)
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  expect(readReceipt(refused)).toBeNull()
  const text = await refused.text()
  expect(text).not.toContain(CONTENT)
  expect([refused.status, JSON.parse(text).code]).toEqual([503, 'store_unavailable'])
  expect(shop.executions).toBe(executed)
  expect(shop.world.facilitator.calls.settle).toHaveLength(settles)
  expect(await shop.earned()).toBe(earned)

  expect((await fetch(shop.url)).status).toBe(402)
  expect((await fetch(`${shop.gateway.url}/health`)).status).toBe(200)
  expect((await fetch(`${shop.gateway.adminUrl}/healthz`)).status).toBe(200)
  const { status, reasons } = await readiness()
  expect(status).toBe(503)
  expect(reasons).toMatch(why)
}

interface Fault {
  readonly name: string
  readonly begin: () => Cure | Promise<Cure>
  /** What /readyz says. */
  readonly why: RegExp
  /** What was refused may be found written afterwards: its payment is held like any other. */
  readonly mayHaveWritten?: true
}

const passing: Fault[] = [
  {
    name: 'another process that keeps the file locked',
    begin: () => lockStore(shop.storeFile),
    why: /is locked by another process .*fuser/,
  },
]
if (canLimitFileSize) {
  passing.push({
    name: 'a disk that is full',
    begin: () => fillDisk(shop.gateway.pid),
    why: /cannot be written or read reliably .*Check the disk and its quota/,
  })
}
if (canFreeze(import.meta.filename)) {
  passing.push({
    name: 'files that became read-only',
    begin: () => freeze([shop.storeFile, `${shop.storeFile}-wal`]),
    why: /cannot be opened for writing .*Let the user that runs farebox write/,
  })
}

describe('a fault that passes', () => {
  test.each(passing)(
    '$name stops payments, and nothing else, until it has passed',
    stopsUntilPassed,
  )

  test.skipIf(syncFault === null)(
    'a disk that cannot sync stops them as well (needs Linux and a C compiler)',
    () =>
      stopsUntilPassed({
        name: 'a disk that cannot sync',
        begin: () => syncFault?.begin() ?? expect.unreachable(),
        why: /cannot be written or read reliably .*Check the disk and its quota/,
        mayHaveWritten: true,
      }),
  )

  test.skipIf(syncFault === null)(
    'what could not be synced is told to nobody, and what was told survives a kill',
    async () => {
      const before = await signFor(shop.world.chain, shop.url)
      await buy(before)
      await expect.poll(shop.states).toEqual(['delivered'])
      const during = await signFor(shop.world.chain, shop.url)
      shop.settle = async next => {
        shop.cureLater(syncFault?.begin() ?? expect.unreachable())
        return next()
      }
      const pending = await pay(shop.url, during)
      expect([pending.status, await codeOf(pending)]).toEqual([503, 'settlement_pending'])
      expect(await shop.earned()).toBe(2n)
      await shop.gateway.kill()
      syncFault?.begin()()
      shop.settle = next => next()

      await shop.restart()
      expect(await codeOf(await pay(shop.url, before))).toBe('payment_already_used')
      const again = await pay(shop.url, during, { headers: { prefer: 'wait=0' } })
      // Whether the row says "settled" is the disk's secret; that it is paid is never forgotten.
      expect(['200', '503 settlement_pending', '409 payment_in_progress']).toContain(
        again.status === 200 ? '200' : `${again.status} ${await codeOf(again)}`,
      )
      expect(await shop.earned()).toBe(2n)
      expect(integrity()).toBe('ok')
    },
  )

  async function stopsUntilPassed(fault: Fault): Promise<void> {
    const before = await signFor(shop.world.chain, shop.url)
    await buy(before)
    await expect.poll(shop.states).toEqual(['delivered'])

    const cure = await fault.begin()
    shop.cureLater(cure)
    const during = await signFor(shop.world.chain, shop.url)
    await expectOutage(during, fault.why)
    await cure()

    const sold = fault.mayHaveWritten ? 2n : 3n
    if (fault.mayHaveWritten) {
      expect(await codeOf(await pay(shop.url, during))).toBe('payment_in_progress')
    } else await buy(during)
    await buy(await signFor(shop.world.chain, shop.url))
    await expect.poll(readiness).toMatchObject({ status: 200 })
    expect(await codeOf(await pay(shop.url, before))).toBe('payment_already_used')
    expect(await shop.earned()).toBe(sold)
    expect(await shop.gateway.stop()).toBe(0)
    expect(shop.states().filter(state => state === 'delivered')).toHaveLength(Number(sold))
    expect(shop.states()).toHaveLength(3)
    expect(integrity()).toBe('ok')
  }
})

describe('a fault that takes a restart', () => {
  test('a damaged file is never believed again: restore it, start again, nothing is forgotten', async () => {
    const before = await signFor(shop.world.chain, shop.url)
    await buy(before)
    await expect.poll(shop.states).toEqual(['delivered'])
    const good = await damage()
    const during = await signFor(shop.world.chain, shop.url)
    await expectOutage(during, /is damaged .*Stop farebox, restore the file from a backup/)
    // Putting the file back does not help: what else is wrong with it, nobody knows.
    await writeFile(shop.storeFile, good)
    await expectOutage(during, /is damaged .*start again/)
    await shop.gateway.stop()
    await rm(`${shop.storeFile}-wal`, { force: true })
    await writeFile(shop.storeFile, good)

    await shop.restart()
    expect(await codeOf(await pay(shop.url, before))).toBe('payment_already_used')
    await buy(during)
    expect(await shop.earned()).toBe(2n)
  })

  /** Overwrites all but the first page, and returns what was there. */
  async function damage(): Promise<Buffer> {
    using other = new DatabaseSync(shop.storeFile)
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const good = await readFile(shop.storeFile)
    await writeFile(shop.storeFile, Buffer.from(good).fill('damage', 4096))
    // A change by someone else makes the gateway read the file again.
    const version = other.prepare('PRAGMA user_version').get()?.['user_version']
    other.exec(`PRAGMA user_version = ${version}`)
    return good
  }

  test('a file that was deleted while the gateway runs is saved when it stops', async () => {
    const before = await signFor(shop.world.chain, shop.url)
    await buy(before)
    await expect.poll(shop.states).toEqual(['delivered'])
    for (const suffix of ['', '-wal', '-shm']) await rm(shop.storeFile + suffix)
    const during = await signFor(shop.world.chain, shop.url)
    await expectOutage(during, /was removed or replaced while farebox ran.*FILE\.rescued/)
    expect(await shop.gateway.stop()).toBe(0)
    await rename(`${shop.storeFile}.rescued`, shop.storeFile)

    await shop.restart()
    expect(await codeOf(await pay(shop.url, before))).toBe('payment_already_used')
    await buy(during)
  })

  test('a file in whose place another was put is used again when it is back', async () => {
    const before = await signFor(shop.world.chain, shop.url)
    await buy(before)
    await expect.poll(shop.states).toEqual(['delivered'])
    await rename(shop.storeFile, `${shop.storeFile}.old`)
    await writeFile(shop.storeFile, 'garbage '.repeat(4096))
    const during = await signFor(shop.world.chain, shop.url)
    await expectOutage(during, /was removed or replaced while farebox ran/)
    await rename(`${shop.storeFile}.old`, shop.storeFile)
    await buy(during)
    expect(await codeOf(await pay(shop.url, before))).toBe('payment_already_used')
  })

  test('a file that a newer farebox has made its own takes no more payments', async () => {
    await buy(await signFor(shop.world.chain, shop.url))
    await expect.poll(shop.states).toEqual(['delivered'])
    raiseSchema(shop.storeFile)
    const during = await signFor(shop.world.chain, shop.url)
    await expectOutage(during, /was given schema version 999 while farebox ran/)
    expect(shop.states()).toEqual(['delivered'])
  })
})

function integrity(): unknown {
  using database = new DatabaseSync(shop.storeFile)
  return database.prepare('PRAGMA integrity_check').get()?.['integrity_check']
}
