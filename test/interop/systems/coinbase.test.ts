import { decodeProtectedHeader, jwtVerify } from 'jose'
import { getAddress } from 'viem'
import { describe, expect, test } from 'vitest'
import { type ApiKey, coinbaseEd25519Key, coinbaseP256Key } from '../../facilitator/api-keys.ts'
import { buyer, seller } from '../../support/accounts.ts'
import { pay, readReceipt, signFor } from '../../support/payments.ts'
import { type Answered, type Asked, type Dialect, openStreet, operationOf } from './dialect.ts'

// test/facilitator/auth/tokens.test.ts holds the tokens against those of Coinbase's own client.
const street = openStreet()

const REFUSED = { status: 401, body: { errorType: 'unauthorized', errorMessage: 'Unauthorized.' } }

/** Takes a call only with its own token and with checksummed addresses; `answer` does the rest. */
function guarded(key: ApiKey, alg: string, refusals: string[], answer: Dialect): Dialect {
  return async (asked, next) => {
    try {
      await checkCall(key, alg, asked)
    } catch (error) {
      refusals.push(String(error))
      return REFUSED
    }
    return answer(asked, next)
  }
}

async function checkCall(key: ApiKey, alg: string, { method, url, headers, body }: Asked) {
  const token = headers.authorization?.slice('Bearer '.length) ?? ''
  expect(decodeProtectedHeader(token)).toMatchObject({ alg, kid: key.keyId, typ: 'JWT' })
  const { payload } = await jwtVerify(token, key.publicKey, { issuer: 'cdp', subject: key.keyId })
  expect(payload['uris']).toEqual([`${method} ${headers.host}${url}`])
  expect((payload.exp ?? 0) - Date.now() / 1000).toBeLessThanOrEqual(120)
  for (const [, address = ''] of JSON.stringify(body).matchAll(/"(0x[0-9a-fA-F]{40})"/g)) {
    expect(address).toBe(getAddress(address))
  }
}

async function openShop(key: ApiKey, alg: string, answer: Dialect, top?: string) {
  const refusals: string[] = []
  const service = await street.startService(guarded(key, alg, refusals, answer))
  const gateway = await street.startShop({
    facilitators:
      `{url: "${service.url}/platform/v2/x402", auth: {kind: coinbase, ` +
      `keyId: ${key.keyId}, keySecret: ${JSON.stringify(key.keySecret)}}}`,
    ...(top === undefined ? {} : { top }),
  })
  return { gateway, url: `${gateway.url}/v1/weather/paris`, refusals }
}

test.each([
  ['an Ed25519 key', coinbaseEd25519Key(), 'EdDSA'],
  ['a P-256 key', coinbaseP256Key(), 'ES256'],
])('a payment settles with %s and checksummed addresses', async (_, key, alg) => {
  const { url, refusals } = await openShop(key, alg, (_asked, next) => next())
  const { chain } = street.world()
  const paid = await pay(url, lowerCased(await signFor(chain, url)))
  expect(refusals).toEqual([])
  expect({ status: paid.status, receipt: readReceipt(paid) }).toMatchObject({
    ...{ status: 200, receipt: { success: true, payer: getAddress(buyer.address) } },
  })
})

/** As a buyer may write them: what is signed are the bytes. */
function lowerCased(header: string): string {
  const text = Buffer.from(header, 'base64').toString()
  const lowered = text.replace(/"0x[0-9a-fA-F]{40}"/g, address => address.toLowerCase())
  expect(lowered).not.toBe(text)
  return Buffer.from(lowered).toString('base64')
}

describe('what comes as a 4xx with a body', () => {
  const key = coinbaseEd25519Key()

  test('is a refusal where the payment is refused, with nothing charged or served', async () => {
    const body = { isValid: false, invalidReason: 'insufficient_funds', payer: buyer.address }
    const { gateway, url, refusals } = await openShop(key, 'EdDSA', async ({ url: path }, next) =>
      operationOf(path) === 'verify' ? { status: 400, body } : next(),
    )
    const refused = await pay(url, await signFor(street.world().chain, url))
    expect(refused.status).toBe(402)
    expect(await refused.json()).toMatchObject({ error: 'insufficient_funds' })
    expect([refusals, gateway.states()]).toEqual([[], []])
  })

  test('with settlement_pending and a hash stays open until the chain has it', async () => {
    const { chain } = street.world()
    const pending = async (answered: Answered) => {
      const { transaction, network } = Object(answered.body)
      const errorReason = 'settlement_pending'
      return { status: 400, body: { success: false, errorReason, transaction, network } }
    }
    let settles = 0
    const { gateway, url } = await openShop(
      ...([key, 'EdDSA'] as const), // as two arguments
      async ({ url: path }, next) => {
        if (operationOf(path) !== 'settle') return next()
        settles++
        return pending(await next())
      },
      `networks: {base-sepolia: {rpc: ["${chain.rpcUrl}"], finality: 0}}`,
    )
    const before = await chain.balanceOf(seller.address)
    const header = await signFor(chain, url)
    const first = await pay(url, header)
    expect(first.status).toBe(503)
    expect(await first.json()).toMatchObject({ code: 'settlement_pending' })
    await expect.poll(() => gateway.states()).toEqual(['settled'])
    expect((await pay(url, header)).status).toBe(200)
    expect([await chain.balanceOf(seller.address), settles]).toEqual([before + 1_000n, 1])
  })
})
