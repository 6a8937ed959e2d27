import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from './run-cli.ts'

const KEY = 'sk-very-secret'
const env = { KEY }

function configFile(change: (text: string) => string = text => text): string {
  const file = join(mkdtempSync(join(tmpdir(), 'farebox-lists-')), 'gateway.yaml')
  const text = `version: 1
payTo: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
accepts: [base, base-sepolia]
facilitators:
  - x402-org
  - openx402
  - {url: "https://f.example/\${KEY}", auth: {kind: path, key: "\${KEY}"}, supported: [base]}
  - {url: thirdweb, headers: {x-secret-key: "\${KEY}"}}
networks:
  base: {rpc: ["https://a.example/\${KEY}"]}
  ours: {id: "eip155:424242", testnet: true}
upstreams: {api: http://localhost:3000}
routes: {GET /x: $0.001}
`
  writeFileSync(file, change(text))
  return file
}

interface Listed {
  readonly name: string
  readonly explorer?: string
}

const named = (list: readonly Listed[], name: string): Listed | undefined =>
  list.find(one => one.name === name)

describe('farebox networks', () => {
  test('lists what is known, and whether payments can be taken there', async () => {
    const { code, stdout, stderr } = await runCli(['networks'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { networks } = JSON.parse(stdout)
    expect(networks.length).toBeGreaterThan(50)
    expect(named(networks, 'kite-testnet')).toMatchObject({
      ...{ id: 'eip155:2368', chainId: 2368, sold: true, reason: null, from: 'farebox' },
      assets: [{ symbol: 'pieUSD', decimals: 18, eip712: { name: 'pieUSD', version: '1' } }],
    })
    expect(named(networks, 'kite')?.explorer).toBe('https://kitescan.ai/tx/{transaction}')
    expect(named(networks, 'algorand')).toMatchObject({
      ...{ chainId: null, sold: false, reason: 'farebox cannot check payments there' },
    })
    expect(named(networks, 'peaq')).toMatchObject({
      ...{ sold: false, reason: expect.stringContaining('networks.peaq.assets'), assets: [] },
    })
  })

  test('shows what a configuration adds, and no key of it', async () => {
    const { code, stdout } = await runCli(['networks', '-c', configFile()], env)
    expect(code).toBe(0)
    const { networks } = JSON.parse(stdout)
    expect(named(networks, 'base')).toMatchObject({ rpcNodes: 1, from: 'both' })
    expect(named(networks, 'ours')).toMatchObject({ from: 'configuration', sold: false })
    expect(named(networks, 'monad')).toMatchObject({ rpcNodes: 0, from: 'farebox' })
    expect(stdout).not.toContain(KEY)
  })

  test('is a table at a terminal', async () => {
    const { stdout } = await runCli(['networks'], {}, { terminal: true })
    expect(stdout).toMatch(/^NETWORK +ID +V1 NAME +SOLD +TOKENS\n/)
    expect(stdout).toMatch(/\nbase +eip155:8453 +base +yes +USDC\n/)
    expect(stdout).toMatch(/\naptos +aptos:1 +no +USDC\n/)
    expect(stdout).toMatch(/\noptimism +eip155:10 +needs a token\n/)
    expect(stdout).toMatch(/\n\n\d+ networks, \d+ to be sold on\n$/)
  })
})

describe('farebox facilitators', () => {
  test('lists what can be named, with its keys, limits and networks', async () => {
    const { code, stdout, stderr } = await runCli(['facilitators'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { facilitators } = JSON.parse(stdout)
    expect(named(facilitators, 'coinbase')).toMatchObject({
      ...{ order: null, url: 'https://api.cdp.coinbase.com/platform/v2/x402', auth: 'coinbase' },
      variables: ['CDP_API_KEY_ID', 'CDP_API_KEY_SECRET'],
      ...{ keysOptional: false, limits: { descriptionLength: 500 } },
    })
    expect(named(facilitators, 'payai')).toMatchObject({ auth: 'payai', keysOptional: true })
    expect(named(facilitators, 'thirdweb')).toMatchObject({
      ...{ auth: 'headers', variables: ['THIRDWEB_SECRET_KEY'], networks: null },
    })
    expect(named(facilitators, 'x402scan')).toMatchObject({ auth: 'none', hasSupported: false })
  })

  test('shows in which order a configuration asks, and no key of it', async () => {
    const { code, stdout } = await runCli(['facilitators', '-c', configFile()], env)
    expect(code).toBe(0)
    const { facilitators } = JSON.parse(stdout)
    expect(facilitators.slice(0, 5)).toMatchObject([
      { order: 1, name: 'x402-org', auth: 'none' },
      { order: 2, name: 'openx402', registration: 'https://openx402.ai/register' },
      { order: 3, name: 'f.example', auth: 'path', url: null, networks: ['base'] },
      { order: 4, name: 'thirdweb', auth: 'headers' },
      { order: null },
    ])
    expect(stdout).not.toContain(KEY)
    const text = await runCli(['facilitators', '-c', configFile()], env, { terminal: true })
    expect(text.stdout).toMatch(
      /^ORDER +FACILITATOR +KEYS +NOTES +NETWORKS\n1 +x402-org +none +base/,
    )
    expect(text.stdout).toMatch(/\n3 +f\.example +path +base\n/)
    expect(text.stdout).toMatch(/\n +circle-gateway +none +only via: circle-gateway +arbitrum/)
    expect(text.stdout).not.toContain(KEY)
  })
})

test.each(['networks', 'facilitators'])(
  'farebox %s tells what is wrong with a file',
  async verb => {
    const file = configFile(text => text.replace('accepts:', 'acepts:'))
    const { code, stdout } = await runCli([verb, '-c', file], env)
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ valid: false, file, problems: expect.any(Array) })
  },
)

test('farebox check shows what to know beside a valid file', async () => {
  const file = configFile()
  const { code, stdout } = await runCli(['check', '-c', file], env)
  expect(code).toBe(0)
  const { valid, notes } = JSON.parse(stdout)
  expect(valid).toBe(true)
  const messages = notes.map(({ item, message }: Record<string, string>) => `${item}: ${message}`)
  expect(messages).toEqual([
    'facilitators[0]: x402-org does not serve base, as far as is known',
    'facilitators[1]: openx402 pays only addresses that are registered with it',
    'facilitators[2]: f.example does not serve base-sepolia, as far as is known',
  ])
  const text = await runCli(['check', '-c', file], env, { terminal: true })
  expect(text.stdout).toContain('is valid: 1 route, 1 paid')
  expect(text.stdout).toMatch(/Register every payTo at https:\/\/openx402\.ai\/register/)
  expect(text.stdout).toContain('3 notes')
})
