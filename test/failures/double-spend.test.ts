import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, seller } from '../support/accounts.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import {
  codeOf,
  encodePayment,
  pay,
  readChallenge,
  readReceipt,
  readRows,
  signFor,
} from '../support/payments.ts'

let world: World
let gateway: TestGateway
let url: string

beforeAll(async () => {
  world = await startWorld()
  gateway = await startTestGateway(weatherYaml(world))
  url = `${gateway.url}/v1/weather/paris`
})

afterAll(async () => {
  await gateway.close()
  await world.close()
})

beforeEach(() => {
  world.api.requests.length = 0
})

const sellerBalance = (): Promise<bigint> => world.chain.balanceOf(seller.address)

describe('one payment, one execution, one charge', () => {
  test('one payment sent thirty times at once is executed and charged once', async () => {
    const payment = await signFor(world.chain, url)
    const before = await sellerBalance()
    const replies = await Promise.all(Array.from({ length: 30 }, () => pay(url, payment)))
    const statuses = replies.map(reply => reply.status)
    expect(statuses.filter(status => status === 200)).toHaveLength(1)
    expect(statuses.filter(status => status === 409)).toHaveLength(29)
    const codes = await Promise.all(replies.filter(({ status }) => status === 409).map(codeOf))
    const known = ['payment_in_progress', 'payment_already_used']
    expect(codes.filter(code => !known.includes(code))).toEqual([])
    expect(world.api.requests).toHaveLength(1)
    expect(await sellerBalance()).toBe(before + 1_000n)
  })

  test('a used payment is told so, with its receipt, and nobody is asked again', async () => {
    const payment = await signFor(world.chain, url)
    const paid = await pay(url, payment)
    expect(paid.status).toBe(200)
    await paid.text()
    const asked = world.facilitator.calls.verify.length
    const again = await pay(url, payment)
    expect(again.status).toBe(409)
    expect(readReceipt(again)).toEqual(readReceipt(paid))
    expect(await codeOf(again)).toBe('payment_already_used')
    expect(world.facilitator.calls.verify).toHaveLength(asked)
  })

  test('another spelling of a used payment is the same payment', async () => {
    const payment = await signFor(world.chain, url)
    await (await pay(url, payment)).text()
    const object = JSON.parse(Buffer.from(payment, 'base64').toString())
    const { authorization } = object.payload
    authorization.nonce = `0x${authorization.nonce.slice(2).toUpperCase()}`
    authorization.from = authorization.from.toLowerCase()
    const respelled = await pay(url, encodePayment(object))
    expect(await codeOf(respelled)).toBe('payment_already_used')
  })

  test('a payment cannot be moved to another request', async () => {
    const payment = await signFor(world.chain, url)
    await (await pay(url, payment)).text()
    const elsewhere = await pay(`${gateway.url}/v1/weather/rome`, payment)
    expect(elsewhere.status).toBe(409)
    expect(await codeOf(elsewhere)).toBe('payment_for_other_request')
    expect(readReceipt(elsewhere)).toBeNull()
  })

  test('a payment for one body does not buy another body', async () => {
    const report = `${gateway.url}/v1/report`
    const post = (city: string) => ({
      method: 'POST',
      body: JSON.stringify({ city }),
      headers: { 'content-type': 'application/json' },
    })
    const payment = await signFor(world.chain, report, { init: post('paris') })
    expect((await pay(report, payment, post('paris'))).status).toBe(201)
    const other = await pay(report, payment, post('rome'))
    expect(await codeOf(other)).toBe('payment_for_other_request')
  })

  test('HEAD is priced as GET is', async () => {
    const unpaid = await fetch(url, { method: 'HEAD' })
    expect(unpaid.status).toBe(402)
    expect(readChallenge(unpaid).accepts[0]?.amount).toBe('1000')
    const before = await sellerBalance()
    const payment = await signFor(world.chain, url)
    const paid = await pay(url, payment, { method: 'HEAD' })
    expect(paid.status).toBe(200)
    expect(await sellerBalance()).toBe(before + 1_000n)
  })
})

describe('what writes nothing', () => {
  test('unpaid and refused requests leave no row', async () => {
    const rows = readRows(gateway.storeFile).length
    const poor = { authorization: { value: 1n } }
    await fetch(url)
    await pay(url, 'garbage')
    await pay(url, await signFor(world.chain, url, poor))
    await pay(url, await signFor(world.chain, url, { authorization: { to: buyer.address } }))
    expect(readRows(gateway.storeFile)).toHaveLength(rows)
  })

  test('a payment that the facilitator refuses leaves no row', async () => {
    const rows = readRows(gateway.storeFile).length
    const { privateKeyToAccount, generatePrivateKey } = await import('viem/accounts')
    const penniless = privateKeyToAccount(generatePrivateKey())
    const refused = await pay(url, await signFor(world.chain, url, { signer: penniless }))
    expect(refused.status).toBe(402)
    expect(await codeOf(refused)).toMatch(/insufficient/)
    expect(readRows(gateway.storeFile)).toHaveLength(rows)
    expect(world.api.requests).toHaveLength(0)
  })
})

describe('header forms', () => {
  test('a v2 payload in X-PAYMENT is accepted, as AWS agents send it', async () => {
    const payment = await signFor(world.chain, url)
    const paid = await fetch(url, { headers: { 'X-PAYMENT': payment } })
    expect(paid.status).toBe(200)
    expect(readReceipt(paid)).toMatchObject({ success: true, network: 'eip155:84532' })
  })

  test('both headers at once are refused', async () => {
    const payment = await signFor(world.chain, url)
    const refused = await pay(url, payment, { headers: { 'X-PAYMENT': payment } })
    expect(refused.status).toBe(400)
    expect(await codeOf(refused)).toBe('malformed_payment')
  })
})
