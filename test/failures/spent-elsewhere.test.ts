import { afterAll, beforeAll, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import type { Answer } from '../support/facilitator.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { type OwnFolder, ownFolder } from '../support/own-folder.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'

/** What the facilitator does with verifications, one after the other. */
const verifications: ((next: () => Promise<Answer>) => Promise<Answer>)[] = []
let world: World
let folder: OwnFolder
let gateways: TestGateway[]

beforeAll(async () => {
  world = await startWorld({
    intercept: (operation, next) =>
      (operation === 'verify' ? verifications.shift()?.(next) : undefined) ?? next(),
  })
  await world.chain.mint(buyer.address, 1_000_000n)
  folder = ownFolder()
  const yaml = weatherYaml(world, { server: 'publicUrl: "http://api.example.com", hosts: ["*"]' })
  const storeUrl = `sqlite:${folder.storeFile}`
  gateways = [
    await startTestGateway(yaml, { storeUrl }),
    await startTestGateway(yaml, { storeUrl }),
  ]
})
afterAll(async () => {
  await Promise.all(gateways.map(gateway => gateway.close()))
  await world.close()
  folder.remove()
})

/**
 * Both look the payment up and find nothing; one then claims and settles it while the other still
 * waits for its verification, which says "invalid" because the nonce is used by then. Answered with
 * a 402, an honest client would sign, and pay, a second time.
 */
test('a payment that another gateway settles during its verification is used, not refused', async () => {
  const [one = '', other = ''] = gateways.map(({ url }) => `${url}/v1/weather/paris`)
  const payment = await signFor(world.chain, one)
  const before = await world.chain.balanceOf(seller.address)
  const asked = Promise.withResolvers<void>()
  const settled = Promise.withResolvers<void>()
  verifications.push(async next => {
    asked.resolve()
    await settled.promise
    return next()
  })
  const late = pay(one, payment)
  await asked.promise
  const paid = await pay(other, payment)
  expect(paid.status).toBe(200)
  await paid.text()
  settled.resolve()

  const known = await late
  expect([known.status, await codeOf(known)]).toEqual([409, 'payment_already_used'])
  expect(readReceipt(known)).toEqual(readReceipt(paid))
  expect(await world.chain.balanceOf(seller.address)).toBe(before + 1_000n)
})
