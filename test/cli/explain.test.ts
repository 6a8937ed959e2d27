import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { errorOf, runCli, spawnCli } from './run-cli.ts'

const FILE = `version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
accepts: [base-sepolia, {network: base, maxTimeout: 90s}]
facilitators: [x402-org, payai]
cors: {origins: ["https://app.example"]}
headers:
  request: {set: {x-key: "\${TENANT}"}}
  response: {remove: [x-a, X-Powered-By]}
upstreams:
  weather:
    url: http://localhost:3000/api
    headers: {authorization: "Bearer \${KEY}", x-plain: written}
routes:
  GET /v1/weather/{city}: $0.001
  GET /v2/weather/{city}:
    price: $0.002
    description: Weather of one city
    rewrite: /internal/{city}/today
    headers: {response: {set: {Cache-Control: max-age=60}, remove: [x-a]}}
    mode: shadow
  /health: {price: free, rateLimit: {requests: 5, per: 1m}}
  POST /terms: {price: $1, respond: {body: hello, headers: {x-key: "\${KEY}"}}}
  GET /partners:
    price: $1
    allow:
      keys: [{name: partner-a, sha256: "${'ab'.repeat(32)}"}]
      jwt: {jwks: https://id.example/keys, issuer: https://id.example/, audience: [one, "\${TENANT}"], claims: {plan: big}}
      networks: [10.0.0.0/8]
    deny: {networks: [192.0.2.1]}
    freeQuota: {requests: 100, per: day}
  GET /{any}/old: {price: free, cors: off, redirect: {to: "https://x.example/{any}"}}
`
const file = join(mkdtempSync(join(tmpdir(), 'farebox-explain-')), 'gateway.yaml')
writeFileSync(file, FILE)
const env = { TENANT: 'tenant-secret', KEY: 'key-secret' }

interface Fact {
  readonly topic: string
  readonly name: string
  readonly value: string
  readonly from: { readonly line: number; readonly column: number; readonly item: string } | null
}

async function factsOf(request: string): Promise<string[]> {
  const { code, stdout, stderr } = await runCli(['explain', request, '-c', file], env)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).not.toMatch(/tenant-secret|key-secret/)
  const facts: Fact[] = JSON.parse(stdout).facts
  return facts.map(({ name, value, from }) => {
    const place = from === null ? 'default' : `${from.line}:${from.column} ${from.item}`
    return `${name.trim()}: ${value} <- ${place}`
  })
}

describe('a route', () => {
  test('is explained with its price, its way and its limits, each with its place', async () => {
    const facts = await factsOf('GET /v2/weather/s%C3%A3o?units=c')
    const own = 'routes."GET /v2/weather/{city}"'
    expect(facts).toEqual(
      expect.arrayContaining([
        `price: $0.002 <- 16:12 ${own}.price`,
        `mode: SHADOW MODE: served to everybody for nothing <- 20:11 ${own}.mode`,
        'settles: on-response <- default',
        'billable: 2xx, 301-303, 307, 308 <- default',
        'offer 2: 0.002 USDC (2000 atomic units), exact, on base (eip155:8453) <- 3:25 accepts[1]',
        'pays to: 0x209693Bc6afc0C5328bA36FaF03C514EF312287C <- 2:8 payTo',
        'good for: 2m <- default',
        'good for: 90s <- 3:53 accepts[1].maxTimeout',
        'facilitator 2: payai <- 4:26 facilitators[1]',
        'asks for: http://localhost:3000/api/internal/s%C3%A3o/today?units=c <- 11:10 upstreams.weather.url',
        `rewrite: /internal/{city}/today <- 18:14 ${own}.rewrite`,
        'Host: localhost:3000 <- default',
        'sets on request: authorization: (hidden) <- 12:30 upstreams.weather.headers.authorization',
        'sets on request: x-plain: (hidden) <- 12:56 upstreams.weather.headers.x-plain',
        'sets on request: x-key: (secret) <- 7:26 headers.request.set.x-key',
        `sets on response: cache-control: max-age=60 <- 19:47 ${own}.headers.response.set.Cache-Control`,
        'removes from response: x-powered-by <- 8:28 headers.response.remove[1]',
        `removes from response: x-a <- 19:69 ${own}.headers.response.remove[0]`,
        'origins: https://app.example <- 5:8 cors.origins',
        'remembered: 10m <- default',
        'rate: any <- default',
        'body up to: 10MiB <- default',
        // Whatever no topic knows of.
        `description: Weather of one city <- 17:18 ${own}.description`,
      ]),
    )
  })

  test('that is a price alone, is free, or answers by itself', async () => {
    const priced = await factsOf('/v1/weather/paris')
    expect(priced).toContain('price: $0.001 <- 14:27 routes."GET /v1/weather/{city}"')
    expect(priced).toContain('mode: enforce <- default')
    expect(priced).toContain('unpaid answers: any number <- default')
    expect(priced).toContain('looks at strangers: 1000 in 10s <- default')
    const free = await factsOf('DELETE /health')
    expect(free).toContain('price: free <- 21:20 routes."/health".price')
    expect(free).toContain('rate: 5 in 1m by address <- 21:26 routes."/health".rateLimit')
    expect(free.join('\n')).not.toContain('offer')
    const answered = await factsOf('POST /terms')
    expect(answered).toContain(
      'answers: 200, 5B of text/plain; charset=utf-8, from this file <- 22:28 routes."POST /terms".respond',
    )
    expect(answered.join('\n')).toContain('with: x-key: (secret)')
    // No API gets the request, but callers get the answer.
    expect(answered.join('\n')).not.toContain('on request')
    expect(answered.join('\n')).toContain('removes from response: x-a')
    const redirected = await factsOf('HEAD /a/old')
    expect(redirected).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^redirects: 307 to https:\/\/x\.example\/\{any\} <- 31:/),
        expect.stringMatching(/^origins: off <- 31:\d+ routes/),
      ]),
    )
  })

  test('is explained with who need not pay, who gets nothing and what is free', async () => {
    const facts = await factsOf('GET /partners')
    const own = 'routes."GET /partners"'
    expect(facts).toEqual(
      expect.arrayContaining([
        `denies networks: 192.0.2.1/32 <- 29:12 ${own}.deny.networks`,
        `allows keys of: partner-a <- 26:7 ${own}.allow.keys`,
        `allows tokens of: https://id.example/ <- 27:52 ${own}.allow.jwt.issuer`,
        `for: one <- 27:84 ${own}.allow.jwt.audience[0]`,
        `for: (secret) <- 27:89 ${own}.allow.jwt.audience[1]`,
        `whose plan is: big <- 27:118 ${own}.allow.jwt.claims.plan`,
        'passed on: no <- default',
        `allows networks: 10.0.0.0/8 <- 28:7 ${own}.allow.networks`,
        `free of charge: 100 requests per day and address <- 30:5 ${own}.freeQuota`,
      ]),
    )
    expect(facts.join('\n')).not.toContain('ab'.repeat(32))
  })

  test('is in columns at a terminal', async () => {
    const words = ['explain', 'GET', '/v1/weather/paris', '-c', file]
    const shown = await runCli(words, env, { terminal: true })
    expect(shown.code).toBe(0)
    const text = stripVTControlCharacters(shown.stdout)
    expect(text).toMatch(/^REQUEST +GET \/v1\/weather\/paris\n/)
    expect(text).toContain(`${file}:14:3`)
    expect(text).toMatch(/\n\nPRICE\n {2}price +\$0\.001 +\S+:14:27 +this route\n/)
    const columns = text
      .split('\n')
      .filter(line => line.startsWith('  '))
      .map(line => line.search(/(?:default|\/\S+:\d+:\d+)/))
    expect(new Set(columns).size).toBe(1)
    const shadow = await runCli(['explain', '/v2/weather/x', '-c', file], env, { terminal: true })
    expect(stripVTControlCharacters(shadow.stdout)).toMatch(/\n\nSHADOW MODE: this route .*\.\n$/)
  })
})

describe('a request that meets no route', () => {
  test.each([
    ['GET /v1/wether/paris', 1, 'no_such_route', /Did you mean GET \/v1\/weather\/\{city\}\?/],
    ['GET /v2/weather/a/b/c/d/e/f/g/h', 1, 'no_such_route', /Did you mean GET \/v2\/weather/],
    ['GET /entirely/else', 1, 'no_such_route', /Did you mean GET \/\{any\}\/old/],
    ['POST /v1/weather/x', 1, 'method_not_allowed', /GET, HEAD/],
    ['/a//b', 2, 'bad_request_target', /edge\.md/],
    ['GET /%2e%2e/b', 2, 'bad_request_target', /edge\.md/],
    ['get /health', 2, 'bad_request_target', /Write a request/],
    ['health', 2, 'bad_request_target', /Write a request/],
    ['', 2, 'bad_request_target', /Write a request/],
  ])('%j exits with %i, %s', async (request, exitCode, code, fix) => {
    const outcome = await runCli(['explain', request, '-c', file], env)
    expect(outcome.code).toBe(exitCode)
    expect(outcome.stdout).toBe('')
    expect(errorOf(outcome)).toMatchObject({ code, fix: expect.stringMatching(fix) })
  })

  test('may be written with the host that it is sent to', async () => {
    expect(await factsOf('GET https://api.example.com/v1/weather/paris?x')).toContain(
      'asks for: http://localhost:3000/api/v1/weather/paris?x <- 11:10 upstreams.weather.url',
    )
  })
})

test('a bad file is told as everywhere, and a real process ends as it should', async () => {
  const outcome = await spawnCli(['explain', '/health', '-c', file])
  expect(outcome.code).toBe(2)
  expect(JSON.parse(outcome.stdout).problems.length).toBeGreaterThan(0)
})
