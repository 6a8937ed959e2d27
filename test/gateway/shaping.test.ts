import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seller } from '../support/accounts.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import { codeOf, pay, readChallenge, readReceipt, signFor } from '../support/payments.ts'
import { connectRaw } from '../support/raw-client.ts'

interface Echo {
  readonly url: string
  readonly headers: Record<string, string>
}

let world: World
let echo: LocalServer
let gateway: TestGateway
const asked: string[] = []

const REPORT = Buffer.from([0x25, 0x50, 0x44, 0x46, 0x00, 0xff])

beforeAll(async () => {
  world = await startWorld()
  echo = await serveLocally(async (request, response) => {
    const { url = '', headers } = request
    asked.push(url)
    response.setHeader('x-powered-by', 'echo')
    response.setHeader('cache-control', 'public, max-age=60')
    response.setHeader('x-internal', 'secret')
    response.end(JSON.stringify({ url, headers }))
  })
  gateway = await startTestGateway(
    `server: {listen: "127.0.0.1:0"}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
cors: {origins: ["https://shop.example"], credentials: true}
headers: {response: {remove: [x-powered-by], set: {x-content-type-options: nosniff}}}
upstreams:
  echo: "${echo.url}"
  named: {url: "${echo.url}", host: api.example}
  asked: {url: "${echo.url}", host: client}
routes:
  /v1/*: {upstream: echo, price: free, rewrite: {stripPrefix: /v1}}
  GET /cities/{city}/now: {upstream: echo, price: $0.001, rewrite: "/internal/{city}"}
  GET /long/{a}:
    {upstream: echo, price: $0.001, rewrite: "/{a}/{a}"}
  /shaped:
    upstream: echo
    price: free
    headers:
      request: {set: {x-tenant: ours}, remove: [cookie, x-forwarded-for]}
      response: {set: {cache-control: no-cache}, remove: [x-internal]}
  /paid:
    {upstream: echo, price: $0.001, headers: {response: {set: {cache-control: "public, max-age=5"}}}}
  /named: {upstream: named, price: free}
  /asked: {upstream: asked, price: free}
  /robots.txt: {price: free, respond: {body: "User-agent: *\\n"}}
  GET /report: {price: $0.001, mimeType: application/pdf, respond: {file: report.pdf, headers: {cache-control: "public, max-age=9"}}}
  GET /gone: {price: $0.001, respond: {status: 410, body: gone}}
  /old/{page}: {price: free, redirect: {to: "https://docs.example/{page}"}}`,
    { prepare: folder => writeFile(join(folder, 'report.pdf'), REPORT) },
  )
})

afterAll(async () => {
  await gateway.close()
  await echo.close()
  await world.close()
})

async function echoed(path: string, headers: Record<string, string> = {}): Promise<Echo> {
  const response = await fetch(gateway.url + path, { headers })
  return (await response.json()) as Echo // what the echo sends
}

describe('a rewritten request', () => {
  test('keeps its bytes and its query, without the prefix', async () => {
    expect((await echoed('/v1/a%20b;c/?d=%2f')).url).toBe('/a%20b;c/?d=%2F')
    expect((await echoed('/v1/')).url).toBe('/')
  })

  test('is priced, challenged and bound by the target that the client asked for', async () => {
    const url = `${gateway.url}/cities/s%C3%A3o/now?q=1`
    const unpaid = await fetch(url)
    expect(readChallenge(unpaid).resource.url).toBe(`${gateway.url}/cities/s%C3%A3o/now`)
    const payment = await signFor(world.chain, url)
    const paid = await pay(url, payment)
    expect(((await paid.json()) as Echo).url).toBe('/internal/s%C3%A3o?q=1')
    const other = await pay(`${gateway.url}/cities/other/now?q=1`, payment)
    expect(await codeOf(other)).toBe('payment_for_other_request')
  })

  test('that grows too long is refused before it is paid', async () => {
    const url = `${gateway.url}/long/${'a'.repeat(5_000)}`
    const payment = await signFor(world.chain, `${gateway.url}/long/a`)
    await world.startCounting()
    const refused = await pay(url, payment)
    expect([refused.status, await codeOf(refused)]).toEqual([414, 'target_too_long'])
    expect(await world.earned()).toBe(0n)
  })
})

describe('headers', () => {
  test('are set and removed on the way to the API', async () => {
    const { headers } = await echoed('/shaped', { cookie: 'a=b', x_tenant: 'theirs', x: 'y' })
    expect(headers).toMatchObject({ 'x-tenant': 'ours', x: 'y', 'x-forwarded-proto': 'http' })
    for (const name of ['cookie', 'x_tenant', 'x-forwarded-for']) {
      expect(headers).not.toHaveProperty(name)
    }
  })

  test('are set and removed on the way back, by the route and by default', async () => {
    const { headers } = await fetch(`${gateway.url}/shaped`)
    expect(Object.fromEntries(headers)).toMatchObject({
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    })
    expect([...headers.keys()].filter(name => /powered|internal/.test(name))).toEqual([])
  })

  test('cannot make a paid answer public', async () => {
    const url = `${gateway.url}/paid`
    const paid = await pay(url, await signFor(world.chain, url))
    expect(paid.headers.get('cache-control')).toBe('private, max-age=5')
    expect(readReceipt(paid)?.success).toBe(true)
  })
})

test('the API gets the Host that its upstream says', async () => {
  const hosts = await Promise.all(['/v1/x', '/named', '/asked'].map(path => echoed(path)))
  const { host } = new URL(gateway.url)
  expect(hosts.map(({ headers }) => headers['host'])).toEqual([
    new URL(echo.url).host,
    'api.example',
    host,
  ])
})

describe('an answer of the file', () => {
  test('asks no API, and leaves the connection usable', async () => {
    const before = asked.length
    const client = await connectRaw(gateway.url)
    client.send(
      'GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\nHEAD /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n',
    )
    const got = await client.read()
    expect(String(got.body)).toBe('User-agent: *\n')
    const head = await client.read('HEAD')
    expect(head.rawHeaders.join('\n').toLowerCase()).toContain('content-length\n14')
    client.destroy()
    expect(asked.length).toBe(before)
  })

  test('does not mind a body that nobody reads', async () => {
    const answer = await fetch(`${gateway.url}/robots.txt`, { method: 'POST', body: REPORT })
    expect(await answer.text()).toBe('User-agent: *\n')
    const large = Buffer.alloc(1024 * 1024)
    const again = await fetch(`${gateway.url}/robots.txt`, { method: 'PUT', body: large })
    expect([again.status, await again.text()]).toEqual([200, 'User-agent: *\n'])
  })

  test('is sold as any other: nothing of it without payment, and once', async () => {
    const url = `${gateway.url}/report`
    const unpaid = await fetch(url)
    expect(unpaid.status).toBe(402)
    expect((await unpaid.bytes()).includes(0xff)).toBe(false)
    const payment = await signFor(world.chain, url)
    await world.startCounting()
    const paid = await pay(url, payment)
    expect(Buffer.from(await paid.bytes())).toEqual(REPORT)
    expect(paid.headers.get('content-type')).toBe('application/pdf')
    expect(paid.headers.get('cache-control')).toBe('private, max-age=9')
    expect(readReceipt(paid)?.success).toBe(true)
    expect(await codeOf(await pay(url, payment))).toBe('payment_already_used')
    expect(await world.earned()).toBe(1000n)
  })

  test('that is not billable costs nothing', async () => {
    const url = `${gateway.url}/gone`
    await world.startCounting()
    const answer = await pay(url, await signFor(world.chain, url))
    expect([answer.status, await answer.text()]).toEqual([410, 'gone'])
    expect(await world.earned()).toBe(0n)
  })
})

test('a redirect leads to the place of the file, with what was asked for', async () => {
  const answer = await fetch(`${gateway.url}/old/a%40evil.example?b=c`, { redirect: 'manual' })
  expect(answer.status).toBe(307)
  expect(answer.headers.get('location')).toBe('https://docs.example/a%40evil.example?b=c')
})

test('pages read whatever comes: a 402, a refusal, and what is not listed', async () => {
  const headers = { origin: 'https://shop.example' }
  for (const [path, status] of [
    ['/report', 402],
    ['/missing', 404],
    ['/a//b', 400],
  ] as const) {
    const answer = await fetch(gateway.url + path, { headers })
    expect([path, answer.status]).toEqual([path, status])
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': 'https://shop.example',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    })
  }
})
