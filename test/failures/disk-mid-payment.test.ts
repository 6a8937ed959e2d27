import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildDiskShop, CONTENT, type DiskShop } from '../support/disk-shop.ts'
import { codeOf, pay, readReceipt, readRows, signFor } from '../support/payments.ts'
import { type Cure, canLimitFileSize, fillDisk } from '../support/store-faults.ts'

describe.runIf(canLimitFileSize)('a disk that fills in the middle of a payment', () => {
  let shop: DiskShop

  beforeAll(async () => {
    shop = await buildDiskShop()
  })
  afterAll(() => shop.close())
  beforeEach(() => shop.open())
  afterEach(() => shop.shut())

  const MODES = [
    { mode: 'on-response', path: '/v1/weather/paris' },
    { mode: 'before-upstream', path: '/up-front/report' },
  ]
  let cure: Cure
  const fill = (): void => {
    cure = fillDisk(shop.gateway.pid)
    shop.cureLater(cure)
  }

  test('before it is settled: nothing is charged, and the payment waits for its hold to end', async () => {
    const payment = await signFor(shop.world.chain, shop.url)
    shop.answer = response => {
      fill()
      response.end(CONTENT)
    }
    const refused = await pay(shop.url, payment)
    expect([refused.status, await codeOf(refused)]).toEqual([503, 'store_unavailable'])
    expect(shop.world.facilitator.calls.settle).toEqual([])
    cure()
    expect(shop.states()).toEqual(['forwarded'])
    expect(await codeOf(await pay(shop.url, payment))).toBe('payment_in_progress')
    expect(await shop.earned()).toBe(0n)
  })

  test.each(MODES)(
    'while the money moves, $mode: it is pending, never asked for again',
    async ({ path }) => {
      const target = shop.gateway.url + path
      const payment = await signFor(shop.world.chain, target)
      shop.settle = next => {
        fill()
        return next()
      }
      const pending = await pay(target, payment)
      const receipt = readReceipt(pending)
      expect(receipt).toMatchObject({ success: false, errorReason: 'settlement_pending' })
      expect(receipt?.transaction).toMatch(/^0x[0-9a-f]{64}$/)
      await expectPending(pending)
      expect(await shop.earned()).toBe(1n)
      cure()
      expect(shop.states()).toEqual(['settling'])
      const again = await pay(target, payment, { headers: { prefer: 'wait=0' } })
      expect([200, 503]).toContain(again.status)
      expect(await shop.earned()).toBe(1n)
    },
  )

  test.each(MODES)(
    'while its fate becomes unknown, $mode: it is pending all the same',
    async ({ path }) => {
      const target = shop.gateway.url + path
      const payment = await signFor(shop.world.chain, target)
      shop.settle = async () => {
        fill()
        return { status: 500, body: { error: 'boom' } }
      }
      const pending = await pay(target, payment)
      expect(readReceipt(pending)).toMatchObject({ errorReason: 'settlement_pending' })
      await expectPending(pending)
      cure()
      expect(shop.states()).toEqual(['settling'])
    },
  )

  test('while it is delivered: the client has it all, and that is written once there is room', async () => {
    const payment = await signFor(shop.world.chain, shop.url)
    const filled = Promise.withResolvers<void>()
    shop.answer = response => {
      response.write(CONTENT)
      void filled.promise.then(() => response.end(' in full'))
    }
    const paid = await pay(shop.url, payment)
    fill()
    filled.resolve()
    expect(await paid.text()).toBe(`${CONTENT} in full`)
    await expect.poll(() => shop.gateway.logs.some(({ msg }) => msg === 'error')).toBe(true)
    cure()
    expect(await shop.gateway.stop()).toBe(0)
    const [row] = readRows(shop.storeFile)
    const { transaction } = readReceipt(paid) ?? expect.unreachable()
    expect(row).toMatchObject({ state: 'delivered', transaction_hash: transaction })
  })

  async function expectPending(reply: Response): Promise<void> {
    expect(reply.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    const text = await reply.text()
    expect(text).not.toContain(CONTENT)
    expect([reply.status, JSON.parse(text).code]).toEqual([503, 'settlement_pending'])
  }
})
