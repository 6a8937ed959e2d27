import { decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { payaiKey } from '../../facilitator/api-keys.ts'
import { seller } from '../../support/accounts.ts'
import { pay, signFor } from '../../support/payments.ts'
import { type Answered, type Asked, type Dialect, openStreet, operationOf } from './dialect.ts'

// test/facilitator/auth/tokens.test.ts holds the tokens against those of PayAI's own client.
const street = openStreet()
const key = payaiKey()

async function isTokenGood({ headers }: Asked): Promise<boolean> {
  const token = headers.authorization?.slice('Bearer '.length) ?? ''
  try {
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'EdDSA', kid: key.keyId })
    const claims = { issuer: 'payai-merchant', subject: key.keyId }
    const { payload } = await jwtVerify(token, key.publicKey, claims)
    expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/)
    return true
  } catch {
    return false
  }
}

const EXTENSION_RESPONSES = Buffer.from(
  JSON.stringify({ bazaar: { status: 'rejected', rejectedReason: 'not-for-the-buyer' } }),
).toString('base64')

/**
 * Settles a payment once: again, while it is in flight, is a duplicate, and then gets the recorded
 * outcome. `slow` leaves the first answer out: pending, with no hash.
 */
function payai(slow: { readonly inFlightFor: number } | null = null) {
  const outcomes = new Map<string, Answered>()
  const asked: string[] = []
  let duplicates = 0
  const dialect: Dialect = async (call, next) => {
    const operation = operationOf(call.url)
    if (operation !== 'supported' && !(await isTokenGood(call))) {
      return { status: 401, body: { error: 'invalid credential' } }
    }
    const headers = { 'extension-responses': EXTENSION_RESPONSES }
    asked.push(operation)
    if (operation !== 'settle') return { ...(await next()), headers }
    const network = 'eip155:84532'
    const { payload } = Object(call.body).paymentPayload
    const known = outcomes.get(payload.signature)
    if (known !== undefined) {
      if (slow === null || duplicates >= slow.inFlightFor) return { ...known, headers }
      duplicates++
      const body = { success: false, errorReason: 'duplicate_settlement', transaction: '', network }
      return { status: 409, body }
    }
    const outcome = await next()
    outcomes.set(payload.signature, outcome)
    const pending = { success: false, errorReason: 'settlement_pending', transaction: '', network }
    return slow === null ? { ...outcome, headers } : { status: 200, body: pending }
  }
  return { dialect, asked, duplicates: () => duplicates }
}

async function openShop(dialect: Dialect, keySecret = key.keySecret) {
  const service = await street.startService(dialect)
  const auth = `{kind: payai, keyId: ${key.keyId}, keySecret: ${JSON.stringify(keySecret)}}`
  const gateway = await street.startShop({
    facilitators: `{url: "${service.url}", auth: ${auth}}`,
  })
  return { gateway, url: `${gateway.url}/v1/weather/paris` }
}

test('a payment settles, and what it says of its listing stays with us', async () => {
  const { gateway, url } = await openShop(payai().dialect)
  const paid = await pay(url, await signFor(street.world().chain, url))
  expect(paid.status).toBe(200)
  const told = `${JSON.stringify([...paid.headers])}${await paid.text()}`
  expect(paid.headers.get('extension-responses')).toBeNull()
  expect(told).not.toContain(EXTENSION_RESPONSES)
  const receipt = Buffer.from(paid.headers.get('payment-response') ?? '', 'base64').toString()
  expect(receipt).not.toContain('not-for-the-buyer')
  expect(gateway.logs.filter(({ msg }) => msg === 'facilitator rejected an extension')).toEqual([
    expect.objectContaining({ extension: 'bazaar', reason: 'not-for-the-buyer' }),
  ])
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  expect(metrics).toMatch(
    /^farebox_facilitator_extensions_total\{facilitator="[^"]+",extension="bazaar",status="rejected"\} 2$/m,
  )
})

test('a key that is not the account’s is rejected: nothing is verified, charged or served', async () => {
  const { dialect, asked } = payai()
  const { gateway, url } = await openShop(dialect, payaiKey().keySecret)
  const refused = await pay(url, await signFor(street.world().chain, url))
  expect(refused.status).toBe(503)
  expect([asked.filter(one => one !== 'supported'), gateway.states()]).toEqual([[], []])
})

test('a settle in flight is a duplicate until its outcome is there: charged and served once', async () => {
  const service = payai({ inFlightFor: 1 })
  const { gateway, url } = await openShop(service.dialect)
  const { chain } = street.world()
  const before = await chain.balanceOf(seller.address)
  const header = await signFor(chain, url)
  const pending = await pay(url, header)
  expect(pending.status).toBe(503)
  expect(await pending.json()).toMatchObject({ code: 'settlement_pending' })
  await expect.poll(() => gateway.states()).toEqual(['settled'])
  expect(service.duplicates()).toBe(1)
  expect(service.asked.filter(one => one === 'settle')).toHaveLength(3)
  expect((await pay(url, header)).status).toBe(200)
  expect(await chain.balanceOf(seller.address)).toBe(before + 1_000n)
})

describe('a limit', () => {
  test.each(['verify', 'settle'])('on %s rests it: nothing is charged or served', async limited => {
    const { dialect } = payai()
    const { gateway, url } = await openShop(async (asked, next) =>
      operationOf(asked.url) === limited
        ? { status: 429, body: { error: 'Too many requests' }, headers: { 'retry-after': '7' } }
        : dialect(asked, next),
    )
    const { chain } = street.world()
    const before = await chain.balanceOf(seller.address)
    const refused = await pay(url, await signFor(chain, url))
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '7'])
    expect(gateway.states().filter(state => state !== 'released')).toEqual([])
    expect(await chain.balanceOf(seller.address)).toBe(before)
  })
})
