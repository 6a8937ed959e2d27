import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  AUDIENCE,
  ISSUER,
  type Issuer,
  type SigningKey,
  signingKey,
  startIssuer,
  tokenOf,
} from '../access/issuer.ts'
import { buyer } from '../support/accounts.ts'
import { type Certificate, createAuthority } from '../support/certificates.ts'
import {
  startTestGateway,
  startWorld,
  type TestGateway,
  type World,
  weatherYaml,
} from '../support/gateway.ts'
import { codeOf, pay, readChallenge, signChallenge, signFor } from '../support/payments.ts'

const KEY = 'fbk_partner-a-has-this-key'
const SHA256 = createHash('sha256').update(KEY).digest('hex')

let world: World
let issuer: Issuer
let key: SigningKey
let gateway: TestGateway

beforeAll(async () => {
  key = await signingKey('one')
  ;[world, issuer] = await Promise.all([startWorld(), startIssuer([key])])
}, 60_000)
afterEach(() => gateway.close())
afterAll(async () => {
  await Promise.all([world.close(), issuer.close()])
})

/** Clients are whoever X-Forwarded-For says. */
async function open(top: string, routes = ''): Promise<void> {
  const server = 'trustedProxies: [127.0.0.1], hosts: ["*"]'
  gateway = await startTestGateway(weatherYaml(world, { server, top, routes }))
  world.api.requests.length = 0
}

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gateway.url + path, { headers })
}

const PARIS = '/v1/weather/paris'
const lastHeaders = () => world.api.requests.at(-1)?.headers ?? {}
const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text()
const lastLog = () => gateway.logs.filter(({ msg }) => msg === 'request').at(-1)

describe('whoever has a key', () => {
  const allow = `allow: {keys: [{name: partner-a, sha256: "${SHA256}"}], header: x-api-key}`

  test('pays nothing, is named to the API and in the log, and the key ends here', async () => {
    await open(allow)
    const spelled = { 'x-api-key': KEY, X_Api_Key: KEY, 'farebox-client': 'admin' }
    const reply = await get(PARIS, spelled)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('cache-control')).toContain('private')
    await expect.poll(lastLog).toMatchObject({
      ...{ outcome: 'allowed', status: 200 },
      client: { by: 'key', name: 'partner-a' },
    })
    expect(lastHeaders()).toMatchObject({
      ...{ 'farebox-client': 'partner-a', 'farebox-client-type': 'key' },
    })
    expect(JSON.stringify([lastHeaders(), gateway.logs])).not.toContain(KEY)
    expect(await metrics()).toContain(
      'farebox_known_clients_requests_total{route="GET /v1/weather/{city}",by="key",client="partner-a"} 1',
    )
  })

  test('is not charged for a payment that comes along, which stays good', async () => {
    await open(allow)
    const payment = await signFor(world.chain, gateway.url + PARIS)
    await world.startCounting()
    const reply = await pay(gateway.url + PARIS, payment, { headers: { 'x-api-key': KEY } })
    expect([reply.status, reply.headers.get('payment-response')]).toEqual([200, null])
    expect(gateway.states()).toEqual([])
    expect((await pay(gateway.url + PARIS, payment)).status).toBe(200)
    expect(await world.earned()).toBe(1_000n)
  })

  test('keeps it from the API on free routes, too', async () => {
    await open(allow)
    expect((await get('/health', { 'x-api-key': KEY })).status).toBe(200)
    expect(lastHeaders()['x-api-key']).toBeUndefined()
    await expect.poll(() => lastLog()?.['outcome']).toBe('free')
  })

  test('another key, the same twice, or in another header is the price, and said in the log', async () => {
    await open(allow)
    const replies = [
      await get(PARIS, { 'x-api-key': `${KEY}x` }),
      await get(PARIS, { authorization: `Bearer ${KEY}` }),
      await fetch(gateway.url + PARIS, {
        headers: [
          ['x-api-key', KEY],
          ['x-api-key', 'y'],
        ],
      }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([402, 402, 402])
    await expect
      .poll(() => gateway.logs.some(log => log['credentialFlaw'] === 'unknown_key'))
      .toBe(true)
    expect(await metrics()).toMatch(
      /farebox_credentials_refused_total\{route="GET \/v1\/weather\/\{city\}",reason="unknown_key"\} [12]\n/,
    )
    expect(world.api.requests).toEqual([])
  })

  test('a route has rules of its own instead of those at the top, or none', async () => {
    await open(allow, '  GET /own: {price: $1, allow: off}')
    expect((await get('/own', { 'x-api-key': KEY })).status).toBe(402)
    expect((await get(PARIS, { 'x-api-key': KEY })).status).toBe(200)
  })
})

describe('whoever has a token', () => {
  const jwt = (more = '') =>
    `allow: {jwt: {jwks: "${issuer.url}", issuer: "${ISSUER}", audience: "${AUDIENCE}"${more}}}`

  test('pays nothing, and is named by its subject; the token ends here unless it is forwarded', async () => {
    await open(jwt())
    const authorization = `Bearer ${await tokenOf(key)}`
    expect((await get(PARIS, { authorization })).status).toBe(200)
    const { 'farebox-client': client, authorization: passed } = lastHeaders()
    expect([client, passed]).toEqual(['partner-b', undefined])
    await gateway.write(weatherYaml(world, { top: jwt(', forward: true') }))
    expect(await gateway.reload()).toMatchObject({ kind: 'reloaded' })
    const fetches = issuer.fetches
    expect((await get(PARIS, { authorization })).status).toBe(200)
    expect(lastHeaders().authorization).toBe(authorization)
    // The keys outlive a reload.
    expect(issuer.fetches).toBe(fetches)
  })

  test('a bad token, and an issuer that is away, is the price', async () => {
    await open(jwt())
    const stale = await tokenOf(key, { exp: 1_000_000_000 })
    expect((await get(PARIS, { authorization: `Bearer ${stale}` })).status).toBe(402)
    await expect.poll(() => lastLog()?.['credentialFlaw']).toBe('jwt_expired')
    issuer.keys = null
    const good = `Bearer ${await tokenOf(key)}`
    expect((await get(PARIS, { authorization: good })).status).toBe(402)
    issuer.keys = [key.publicKey]
    await expect.poll(() => lastLog()?.['credentialFlaw']).toBe('jwks_unavailable')
    const errors = gateway.logs.filter(({ msg }) => msg === 'error')
    expect(errors).toMatchObject([{ error: { code: 'jwks_unavailable' } }])
  })

  test('keys can stand in a file', async () => {
    await open('')
    const folder = join(gateway.configFile, '..')
    await writeFile(join(folder, 'jwks.json'), JSON.stringify({ keys: [key.publicKey] }))
    const allow = jwt().replace(issuer.url, `\${file:./jwks.json}`)
    await gateway.write(weatherYaml(world, { top: allow }))
    expect(await gateway.reload()).toMatchObject({ kind: 'reloaded' })
    const fetches = issuer.fetches
    const authorization = `Bearer ${await tokenOf(key)}`
    expect((await get(PARIS, { authorization })).status).toBe(200)
    expect(issuer.fetches).toBe(fetches)
  })
})

describe('networks', () => {
  const rules = 'allow: {networks: [10.0.0.0/8, "2001:db8::/32"]}\ndeny: {networks: [10.9.0.0/16]}'
  const from = (address: string) => ({ 'x-forwarded-for': address })

  test('that are allowed pay nothing, also where IPv4 is written as IPv6', async () => {
    await open(rules)
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8:1::9']) {
      expect((await get(PARIS, from(address))).status, address).toBe(200)
    }
    expect((await get(PARIS, from('11.1.2.3'))).status).toBe(402)
    expect(lastHeaders()['farebox-client-type']).toBe('network')
  })

  test('that are denied get nothing, though they are allowed, and are not charged', async () => {
    await open(rules)
    const payment = await signFor(world.chain, gateway.url + PARIS)
    const refused = await pay(gateway.url + PARIS, payment, { headers: from('10.9.2.3') })
    expect([refused.status, await codeOf(refused)]).toEqual([403, 'access_denied'])
    expect((await get('/health', from('10.9.2.3'))).status).toBe(403)
    expect([gateway.states(), world.api.requests]).toEqual([[], []])
    expect((await pay(gateway.url + PARIS, payment)).status).toBe(200)
  })
})

describe('client certificates', () => {
  test('that are allowed pay nothing, and those that are denied get nothing', async () => {
    const authority = await createAuthority()
    const [own, partner, spy, guest] = await Promise.all([
      authority.issue(),
      authority.issue({ name: 'Partner.example.com' }),
      authority.issue({ name: 'spy', uris: ['spiffe://example.com/spy'] }),
      (await createAuthority('Another CA')).issue({ name: 'partner.example.com' }),
    ])
    const rules = `allow: {certificates: [partner.example.com, spy]}
deny: {certificates: ["spiffe://example.com/spy"]}`
    const server = 'hosts: ["*"], tls: {cert: tls.crt, key: tls.key, clientCa: ca.crt}'
    gateway = await startTestGateway(weatherYaml(world, { server, top: rules }), {
      async prepare(folder) {
        await writeFile(join(folder, 'tls.crt'), own.cert)
        await writeFile(join(folder, 'tls.key'), own.key)
        await writeFile(join(folder, 'ca.crt'), authority.cert)
      },
    })
    const statusFor = async (shown: Partial<Certificate>): Promise<number> => {
      const dispatcher = new Agent({ connect: { ca: authority.cert, ...shown } })
      const { statusCode, body } = await request(gateway.url + PARIS, { dispatcher })
      await body.dump()
      await dispatcher.close()
      return statusCode
    }
    expect(await statusFor(partner)).toBe(200)
    expect(lastHeaders()).toMatchObject({
      ...{ 'farebox-client': 'partner.example.com', 'farebox-client-type': 'certificate' },
    })
    expect(await statusFor(spy)).toBe(403)
    expect(await statusFor(guest)).toBe(402)
    expect(await statusFor({})).toBe(402)
  })
})

describe('a free quota by address', () => {
  const from = (address: string) => ({ 'x-forwarded-for': address })

  test('serves so many requests of an address, or of an IPv6 network, and then asks the price', async () => {
    await open('freeQuota: {requests: 2, per: month, by: address}')
    const clients = ['192.0.2.1', '192.0.2.1', '192.0.2.1', '2001:db8::1', '2001:db8::2:3']
    const left: (string | null)[] = []
    for (const client of [...clients, '2001:db8::9', '2001:db8:0:1::9']) {
      const reply = await get(PARIS, from(client))
      left.push(reply.status === 402 ? '402' : reply.headers.get('farebox-free-remaining'))
    }
    expect(left).toEqual(['1', '0', '402', '1', '0', '402', '1'])
    await expect.poll(() => lastLog()?.['outcome']).toBe('free_quota')
  })

  test('never gives more than there is, and none twice where a payment comes along', async () => {
    await open('freeQuota: {requests: 5, per: month}')
    const replies = await Promise.all(Array.from({ length: 100 }, () => get(PARIS)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(5)
    expect(replies.filter(({ status }) => status === 402)).toHaveLength(95)
    const asked = replies.find(({ status }) => status === 402)
    if (asked === undefined) throw new Error('Nobody was asked for money.')
    const payment = await signChallenge(world.chain, readChallenge(asked))
    expect((await pay(gateway.url + PARIS, payment)).headers.get('payment-response')).not.toBeNull()
  })

  test('is one for all routes without their own, and counts what the API fails at', async () => {
    const own = '  GET /v1/own: {price: $1, freeQuota: {requests: 1, per: hour}}'
    await open('freeQuota: {requests: 2, per: month}', own)
    const statuses: number[] = []
    for (const path of ['/v1/broken', PARIS, PARIS, '/v1/own', '/v1/own']) {
      statuses.push((await get(path)).status)
    }
    expect(statuses).toEqual([500, 200, 402, 404, 402])
  })

  test('gives nothing away while the store refuses', async () => {
    await open('freeQuota: {requests: 5, per: month}')
    const { DatabaseSync } = await import('node:sqlite')
    const store = new DatabaseSync(gateway.storeFile)
    store.exec('DROP TABLE free_requests')
    expect((await get(PARIS)).status).toBe(402)
    store.close()
  })
})

describe('a free quota by payer', () => {
  test('serves a good payment and leaves it unspent, and settles it once the quota is used up', async () => {
    await open('freeQuota: {requests: 2, per: month, by: payer}')
    expect((await get(PARIS)).status).toBe(402)
    const payment = await signFor(world.chain, gateway.url + PARIS)
    await world.startCounting()
    const replies = [
      await pay(gateway.url + PARIS, payment),
      await pay(`${gateway.url}/v1/weather/rome`, payment),
    ]
    expect(replies.map(({ status }) => status)).toEqual([200, 200])
    expect(replies.map(({ headers }) => headers.get('farebox-free-remaining'))).toEqual(['1', '0'])
    expect(replies.map(({ headers }) => headers.get('payment-response'))).toEqual([null, null])
    expect(lastHeaders()['farebox-payer']).toBe(buyer.address)
    expect([gateway.states(), await world.earned()]).toEqual([[], 0n])
    await expect.poll(lastLog).toMatchObject({
      outcome: 'free_quota',
      payment: { charged: false, outcome: 'free_quota' },
    })
    const paid = await pay(gateway.url + PARIS, payment)
    expect([paid.status, await world.earned()]).toEqual([200, 1_000n])
    const again = await pay(gateway.url + PARIS, payment)
    expect([again.status, await codeOf(again)]).toEqual([409, 'payment_already_used'])
  })

  test('gives nothing to whoever could not pay, and nothing for a made-up signature', async () => {
    await open('freeQuota: {requests: 2, per: month, by: payer}')
    const signer = privateKeyToAccount(`0x${'42'.repeat(32)}`)
    const poor = await signFor(world.chain, gateway.url + PARIS, { signer })
    expect((await pay(gateway.url + PARIS, poor)).status).toBe(402)
    const authorization = { from: buyer.address }
    const forged = await signFor(world.chain, gateway.url + PARIS, { signer, authorization })
    expect((await pay(gateway.url + PARIS, forged)).status).toBe(402)
    expect(world.api.requests).toEqual([])
  })
})
