import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, spawnCli } from './run-cli.ts'

const GOOD = `
version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
accepts: [base-sepolia, base]
facilitators: [https://x402.org/facilitator]
upstreams:
  weather:
    url: http://localhost:3000
    headers: {authorization: "Bearer \${WEATHER_KEY}"}
routes:
  GET /v1/weather/{city}: $0.001
  POST /v1/report:
    price: $0.25
  /health: free
`
const BAD = `
version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287"
acepts: [base-sepolia]
facilitators: [https://x402.org/facilitator]
upstreams:
  weather:
    url: http://localhost:3000
routes:
  GET /v1/weather/{city}: $0.0000001
`
const SECRET = { WEATHER_KEY: 'a-secret-for-the-upstream' }

let directory: string
let good: string
let bad: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'farebox-check-'))
  good = join(directory, 'good.yaml')
  bad = join(directory, 'bad.yaml')
  await Promise.all([writeFile(good, GOOD), writeFile(bad, BAD)])
})

afterAll(() => rm(directory, { recursive: true, force: true }))

describe('a valid file', () => {
  test('exits with 0 and lists every route with its price per offer', async () => {
    const outcome = await spawnCli(['check', '-c', good], SECRET)
    expect(outcome).toMatchObject({ code: 0, stderr: '' })
    const { valid, routes } = JSON.parse(outcome.stdout)
    expect(valid).toBe(true)
    expect(routes).toMatchObject([
      {
        route: 'GET /v1/weather/{city}',
        upstream: 'weather',
        offers: [
          { price: '0.001', symbol: 'USDC', amount: '1000', network: 'eip155:84532' },
          { price: '0.001', symbol: 'USDC', amount: '1000', network: 'eip155:8453' },
        ],
      },
      { route: 'POST /v1/report', offers: [{ price: '0.25' }, { price: '0.25' }] },
      { route: '/health', price: 'free' },
    ])
    expect(outcome.stdout).not.toContain(SECRET.WEATHER_KEY)
  })

  test('is a table at a terminal', async () => {
    const shown = await runCli(['check', '-c', good], SECRET, { terminal: true })
    expect(shown.code).toBe(0)
    const lines = shown.stdout.split('\n')
    expect(lines[0]).toMatch(/^ROUTE +PRICE +NETWORK +PAY TO +UPSTREAM$/)
    expect(lines[1]).toMatch(
      /^GET \/v1\/weather\/\{city\} +0\.001 USDC +base-sepolia \(eip155:84532\) +0x2096/,
    )
    expect(lines.find(line => line.startsWith('/health'))).toMatch(/^\/health +free +weather$/)
    expect(shown.stdout).toContain('3 routes, 2 paid')
  })
})

describe('a file with problems', () => {
  test('exits with 2 and names all of them, each with its place and cure', async () => {
    const outcome = await spawnCli(['check', '-c', bad])
    expect(outcome).toMatchObject({ code: 2, stderr: '' })
    const { valid, problems } = JSON.parse(outcome.stdout)
    expect(valid).toBe(false)
    const lines = problems.map((problem: { line: number }) => problem.line)
    expect(lines).toEqual(expect.arrayContaining([3, 4]))
    for (const problem of problems) {
      expect(problem).toMatchObject({ file: bad, cure: expect.stringMatching(/\w/) })
    }
  })

  test('is readable at a terminal, with file:line:column in front', async () => {
    const shown = await runCli(['check', '-c', bad], {}, { terminal: true })
    expect(shown.code).toBe(2)
    expect(shown.stdout).toContain(`${bad}:3:`)
    expect(shown.stdout).toMatch(/\d problems\b/)
  })

  test('a missing variable is a problem, and so is a missing file', async () => {
    const unset = await runCli(['check', '-c', good])
    expect(unset.code).toBe(2)
    expect(unset.stdout).toContain('WEATHER_KEY')

    const missing = await runCli(['check', '-c', join(directory, 'missing.yaml')])
    expect(missing.code).toBe(2)
    expect(JSON.parse(missing.stdout).problems).toHaveLength(1)
  })
})
