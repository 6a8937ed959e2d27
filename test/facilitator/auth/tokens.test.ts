import { clearJwtCache, createPayAIAuthHeaders } from '@payai/facilitator'
import { HTTPFacilitatorClient } from '@x402/core/server'
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import type { FacilitatorAuth } from '../../../src/config/gateway-config.ts'
import { openCredentials } from '../../../src/facilitator/auth/credentials.ts'
import { buyer } from '../../support/accounts.ts'
import {
  answerWith,
  type StubFacilitator,
  type StubRequest,
  startStubFacilitator,
} from '../../support/stub-facilitator.ts'
import { createOffer, pay } from '../../x402/payments.ts'
import { type ApiKey, coinbaseEd25519Key, coinbaseP256Key, payaiKey } from '../api-keys.ts'
import { connect, supportedKinds } from '../clients.ts'

const BASE_PATH = '/platform/v2/x402'
const answers: Readonly<Record<string, unknown>> = {
  supported: supportedKinds([2, 'eip155:84532']),
  verify: { isValid: true, payer: buyer.address },
  settle: { success: true, transaction: `0x${'ab'.repeat(32)}`, network: 'eip155:84532' },
}
const payment = await pay(buyer, createOffer())
const requirements = {
  ...payment.offer.requirements,
  extra: { ...payment.offer.requirements.extra },
}

/** By its file: its package's door also opens rooms that need packages which are not here. */
const cdpClient = new URL(
  '../../../node_modules/@coinbase/cdp-sdk/_esm/x402/facilitator.js',
  import.meta.url,
)
const {
  createCdpFacilitatorClient,
}: Pick<typeof import('@coinbase/cdp-sdk/x402'), 'createCdpFacilitatorClient'> = await import(
  cdpClient.href
)

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map(one => one.close()))
})

let taken = 0

async function startStub(): Promise<StubFacilitator> {
  taken = 0
  const stub = await startStubFacilitator(({ path }) =>
    answerWith(answers[path.split('/').at(-1) ?? '']),
  )
  opened.push(stub)
  return stub
}

/** Those since the last time. */
function takeRequests({ requests }: StubFacilitator): StubRequest[] {
  const from = taken
  taken = requests.length
  return requests.slice(from)
}

/** What our client sends when it asks, verifies and settles. */
async function callsOfOurs(stub: StubFacilitator, auth: FacilitatorAuth): Promise<StubRequest[]> {
  const facilitator = connect(`${stub.url}${BASE_PATH}`, { auth })
  opened.push(facilitator)
  await facilitator.supported()
  await facilitator.verify(payment.payload, requirements)
  await facilitator.settle(payment.payload, requirements)
  return takeRequests(stub)
}

/** What the service's own client sends. */
async function callsOfTheirs(
  stub: StubFacilitator,
  client: Pick<HTTPFacilitatorClient, 'getSupported' | 'verify' | 'settle'>,
) {
  const { resource, payload: inner } = payment.payload
  const payload = {
    ...{ x402Version: 2, resource: { url: resource.url }, accepted: requirements },
    payload: { ...inner },
  }
  await client.getSupported()
  await client.verify(payload, requirements)
  await client.settle(payload, requirements)
  return takeRequests(stub)
}

function tokensOf(calls: readonly StubRequest[]): string[] {
  expect(calls).toHaveLength(3)
  return calls.map(({ headers }) => {
    expect(headers.authorization).toMatch(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)
    return headers.authorization?.slice('Bearer '.length) ?? ''
  })
}

/** Everything of a token but what is new each time. */
function shapeOf(token: string): unknown {
  const { nonce, ...header } = decodeProtectedHeader(token)
  const { iat = 0, nbf = iat, exp = 0, jti, ...claims } = decodeJwt(token)
  return {
    ...{ header, claims, lifetime: exp - iat, start: nbf - iat },
    nonce: String(nonce).replace(/[0-9a-f]/g, 'x'),
    jti: String(jti).replace(/[0-9a-f]/g, 'x'),
  }
}

const coinbaseKeys: [string, 'EdDSA' | 'ES256', ApiKey][] = [
  ['an Ed25519 key', 'EdDSA', coinbaseEd25519Key()],
  ['a P-256 key', 'ES256', coinbaseP256Key()],
]

describe.each(coinbaseKeys)('a Coinbase token, signed with %s', (_, algorithm, key) => {
  const auth = { kind: 'coinbase', keyId: key.keyId, keySecret: key.keySecret } as const

  test('is what a verifier wants, for each method and path', async () => {
    const stub = await startStub()
    const calls = await callsOfOurs(stub, auth)
    const { host } = new URL(stub.url)
    for (const [index, token] of tokensOf(calls).entries()) {
      const { payload, protectedHeader } = await jwtVerify(token, key.publicKey, {
        ...{ algorithms: [algorithm], issuer: 'cdp', subject: key.keyId, typ: 'JWT' },
      })
      expect(protectedHeader).toMatchObject({ kid: key.keyId })
      expect(protectedHeader.nonce).toMatch(/^[0-9a-f]{32}$/)
      const { method, path } = calls[index] ?? {}
      expect(path).toMatch(/^\/platform\/v2\/x402\/(supported|verify|settle)$/)
      expect(payload['uris']).toEqual([`${method} ${host}${path}`])
    }
  })

  test('is what the service’s own client sends', async () => {
    const stub = await startStub()
    const client = createCdpFacilitatorClient({
      ...{ apiKeyId: key.keyId, apiKeySecret: key.keySecret, baseUrl: `${stub.url}${BASE_PATH}` },
    })
    const theirs = await callsOfTheirs(stub, client)
    const ours = await callsOfOurs(stub, auth)
    expect(tokensOf(ours).map(shapeOf)).toEqual(tokensOf(theirs).map(shapeOf))
    expect(ours.map(({ method, path, body }) => ({ method, path, body }))).toEqual(
      theirs.map(({ method, path, body }) => ({ method, path, body })),
    )
  })

  test('is new for each call', async () => {
    const stub = await startStub()
    const tokens = [
      ...tokensOf(await callsOfOurs(stub, auth)),
      ...tokensOf(await callsOfOurs(stub, auth)),
    ]
    const nonces = tokens.map(token => decodeProtectedHeader(token).nonce)
    expect(new Set(nonces).size).toBe(6)
  })
})

describe('a PayAI token', () => {
  const key = payaiKey()

  test.each([
    ['with the prefix that its portal shows', `payai_sk_${key.keySecret}`],
    ['without', key.keySecret],
    ['with a line break at its end', `${key.keySecret}\n`],
  ])('is what a verifier wants: secret %s', async (_, keySecret) => {
    const stub = await startStub()
    const tokens = tokensOf(await callsOfOurs(stub, { kind: 'payai', keyId: key.keyId, keySecret }))
    for (const token of tokens) {
      const { payload, protectedHeader } = await jwtVerify(token, key.publicKey, {
        ...{ algorithms: ['EdDSA'], issuer: 'payai-merchant', subject: key.keyId },
      })
      expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'JWT', kid: key.keyId })
      expect(payload.jti).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  test('is what the service’s own client sends', async () => {
    const stub = await startStub()
    clearJwtCache()
    const { keyId, keySecret } = key
    const client = new HTTPFacilitatorClient({
      ...{
        url: `${stub.url}${BASE_PATH}`,
        createAuthHeaders: createPayAIAuthHeaders(keyId, keySecret),
      },
    })
    const theirs = tokensOf(await callsOfTheirs(stub, client))
    const ours = tokensOf(await callsOfOurs(stub, { kind: 'payai', keyId, keySecret }))
    expect(ours.map(shapeOf)).toEqual(theirs.map(shapeOf))
    expect(new Set(ours).size).toBe(1)
  })

  test('is kept until half a minute before it ends', () => {
    let seconds = 1_800_000_000
    const auth = { kind: 'payai', keyId: key.keyId, keySecret: key.keySecret } as const
    const config = { url: 'https://f.example', headers: {}, auth }
    const { headersFor } = openCredentials(config, () => seconds * 1000 + 999)
    const call = { method: 'POST', url: new URL('https://f.example/verify') } as const
    const startOf = (): number => {
      const token = headersFor(call)['authorization']?.slice('Bearer '.length) ?? ''
      return decodeJwt(token).iat ?? 0
    }
    const first = seconds
    expect(startOf()).toBe(first)
    seconds += 89
    expect(startOf()).toBe(first)
    seconds += 1
    expect(startOf()).toBe(first + 90)
    // A clock that was set back.
    seconds = first - 3600
    expect(startOf()).toBe(first - 3600)
  })
})

describe('a key in the path', () => {
  const key = 'k/very secret'

  test('is the last part of every URL', async () => {
    const stub = await startStub()
    const calls = await callsOfOurs(stub, { kind: 'path', key })
    expect(calls.map(({ path }) => path)).toEqual(
      ['supported', 'verify', 'settle'].map(last => `${BASE_PATH}/k%2Fvery%20secret/${last}`),
    )
  })

  test.each(['supported', 'verify', 'settle'] as const)('is in no error: %s', async operation => {
    const stub = await startStub()
    stub.answer = { kind: 'reset' }
    const facilitator = connect(stub.url, { auth: { kind: 'path', key } })
    opened.push(facilitator)
    const error: unknown = await facilitator[operation](payment.payload, requirements).catch(
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(Error)
    for (let one = error; one instanceof Error; one = one.cause) {
      const text = `${one.message}${one.stack}${JSON.stringify(one)}`
      expect(text).not.toContain('very secret')
      expect(text).not.toContain('very%20secret')
    }
  })
})

test('plain headers go with a token', () => {
  const { keyId, keySecret } = payaiKey()
  const headers = { 'x-client': 'farebox' }
  const { headersFor } = openCredentials({
    ...{ url: 'https://f.example', headers, auth: { kind: 'payai', keyId, keySecret } },
  })
  const sent = headersFor({ method: 'GET', url: new URL('https://f.example/supported') })
  expect(sent).toMatchObject({ 'x-client': 'farebox', authorization: /^Bearer / })
})
