import { afterAll, beforeAll, expect, test } from 'vitest'
import { buyer } from '../support/accounts.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readReceipt, signFor } from '../support/payments.ts'

/**
 * A client gives up a slow gateway and sends its payment to another one on the same store, which
 * settles it. What the slow gateway then hears from the facilitator is that the payment is invalid,
 * because it was just spent. Passing that on as a 402 made an honest client pay a second time.
 */
let world: World
let slow: TestGateway
let quick: TestGateway
const verdict = Promise.withResolvers<void>()
let verifications = 0

beforeAll(async () => {
  world = await startWorld({
    async intercept(operation, next) {
      if (operation === 'verify' && ++verifications === 1) await verdict.promise
      return next()
    },
  })
  await world.chain.mint(buyer.address, 1_000_000n)
  // The same resource at both, as behind one load balancer.
  const yaml = weatherYaml(world, { server: 'publicUrl: https://api.example.com, hosts: ["*"]' })
  slow = await startTestGateway(yaml)
  quick = await startTestGateway(yaml, { storeUrl: `sqlite:${slow.storeFile}` })
})

afterAll(async () => {
  await Promise.all([slow.close(), quick.close()])
  await world.close()
})

test('a payment that another gateway settles while it is verified is not refused', async () => {
  const payment = await signFor(world.chain, `${slow.url}/v1/weather/paris`)
  const late = pay(`${slow.url}/v1/weather/paris`, payment)
  await expect.poll(() => verifications).toBe(1)
  const paid = await pay(`${quick.url}/v1/weather/paris`, payment)
  expect(paid.status).toBe(200)
  await paid.text()
  verdict.resolve()
  const answer = await late
  expect(answer.status).toBe(409)
  expect(await codeOf(answer)).toBe('payment_already_used')
  expect(readReceipt(answer)).toEqual(readReceipt(paid))
})
