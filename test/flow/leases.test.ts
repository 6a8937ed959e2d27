import { expect, test } from 'vitest'
import { paymentKey } from '../../src/core/payment.ts'
import { createLeases } from '../../src/flow/leases.ts'

const key = paymentKey('eip155:84532', 'eip3009', '0x1')
const other = paymentKey('eip155:84532', 'eip3009', '0x2')

test('one payment is held by one request at a time', async () => {
  const leases = createLeases()
  const lease = await leases.take(key)
  expect(lease).not.toBeNull()
  expect(await leases.take(key)).toBeNull()
  expect(await leases.take(other)).not.toBeNull()
  await lease?.endAfter(Promise.resolve())
  expect(await leases.take(key)).not.toBeNull()
})

test('of many requests at the same moment, one holds the payment', async () => {
  const leases = createLeases()
  const taken = await Promise.all(Array.from({ length: 50 }, () => leases.take(key)))
  expect(taken.filter(lease => lease !== null)).toHaveLength(1)
})

test('a holder that only writes down its end is waited for, and one follows it', async () => {
  const leases = createLeases()
  const lease = await leases.take(key)
  const work = Promise.withResolvers<void>()
  const ended = lease?.endAfter(work.promise)
  let followed = false
  const waiting = Promise.all([leases.take(key), leases.take(key)]).then(taken => {
    followed = true
    return taken
  })
  await Promise.resolve()
  expect(followed).toBe(false)
  work.resolve()
  await ended
  expect((await waiting).filter(taken => taken !== null)).toHaveLength(1)
})

test('work that fails lets go all the same', async () => {
  const leases = createLeases()
  const lease = await leases.take(key)
  await lease?.endAfter(Promise.reject(new Error('store is down')))
  expect(await leases.take(key)).not.toBeNull()
})

test('ending twice does not take it from the next holder', async () => {
  const leases = createLeases()
  const first = await leases.take(key)
  await first?.endAfter(Promise.resolve())
  expect(await leases.take(key)).not.toBeNull()
  await first?.endAfter(Promise.resolve())
  expect(await leases.take(key)).toBeNull()
})

test('equal keys are one payment, whoever made them', async () => {
  const leases = createLeases()
  await leases.take(paymentKey('eip155:84532', 'eip3009/0x1'))
  expect(await leases.take(key)).toBeNull()
})
