import { describe, expect, it } from 'vitest'
import { isSold, loadNetworkRegistry } from '../../src/networks/registry.ts'
import { accepted, brief, HEAD as ON_TEST_NETWORKS, problemsOf } from './support.ts'

/** With a facilitator of which nobody knows what it serves. */
const HEAD = ON_TEST_NETWORKS.replace('x402-org', 'https://f.example')
const ROUTES = 'routes: {GET /x: $0.001}\n'
const KEY = 'sk-very-secret'
const SOLANA = 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp'
const TOKEN =
  '{symbol: TUSD, address: "0x036cbd53842c5426634e7929541ec2318f3dcf7e", decimals: 6, ' +
  'eip712: {name: Test, version: "1"}, dollarPegged: true}'
const networksNotSold = loadNetworkRegistry()
  .networks.filter(network => !isSold(network))
  .map(({ name }) => name)

const networkOf = (text: string, name: string, env: Record<string, string> = {}) =>
  accepted(`${HEAD}${ROUTES}${text}`, env).networks.find(network => network.name === name)

describe('networks', () => {
  it('are those that farebox knows, without nodes, when nothing is written', () => {
    expect(networkOf('', 'base')).toMatchObject({ id: 'eip155:8453', rpc: [], finality: null })
  })

  it('get nodes and finality, and keep what is known of them', () => {
    const rpc = `["https://a.example/v2/\${KEY}", "http://b.example/?key=\${KEY}"]`
    const text = `networks: {base: {rpc: ${rpc}, finality: 12}}`
    const known = networkOf('', 'base')
    expect(networkOf(text, 'base', { KEY })).toEqual({
      ...known,
      rpc: [`https://a.example/v2/${KEY}`, `http://b.example/?key=${KEY}`],
      finality: 12,
    })
  })

  it('may be of the operator’s own, and be paid on', () => {
    const text = `networks: {ours: {id: "eip155:424242", testnet: true, assets: [${TOKEN}]}}\n`
    const head = HEAD.replace('[base-sepolia]', '[ours]')
    const { routes, networks } = accepted(`${head}${ROUTES}${text}`)
    expect(networks.at(-1)).toMatchObject({ name: 'ours', v1Name: null, testnet: true, rpc: [] })
    expect(routes[0]?.price).toMatchObject({
      offers: [
        {
          requirements: {
            network: 'eip155:424242',
            asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
            extra: { name: 'Test', version: '1' },
          },
        },
      ],
    })
  })

  it('get tokens beside those that are known, and the default stays', () => {
    const text = `networks: {base: {assets: [${TOKEN}]}}\n`
    const symbols = networkOf(text, 'base')?.assets.map(({ symbol }) => symbol)
    expect(symbols).toEqual(['USDC', 'TUSD'])
    const head = HEAD.replace('[base-sepolia]', '[{network: base, asset: TUSD}]')
    expect(accepted(`${head}${ROUTES}${text}`).routes[0]?.price).toMatchObject({
      offers: [{ symbol: 'TUSD', requirements: { extra: { name: 'Test', version: '1' } } }],
    })
  })

  it('get another token in the place of one with its symbol', () => {
    const text = `networks: {celo: {assets: [${TOKEN.replace('TUSD', 'USDT')}]}}`
    const assets = networkOf(text, 'celo')?.assets
    expect(assets?.map(({ symbol }) => symbol)).toEqual(['USDC', 'USDT', 'USAT'])
    expect(assets?.[1]).toMatchObject({ eip712: { name: 'Test', version: '1' } })
  })

  it('without a token that is known for sure can be sold on once one is described', () => {
    const head = HEAD.replace('[base-sepolia]', '[peaq]')
    const [problem, ...others] = problemsOf(`${head}${ROUTES}`)
    expect(others).toEqual([])
    expect(problem?.message).toBe('peaq has no token that farebox knows for sure')
    expect(problem?.cure).toContain('networks.peaq.assets')
    const text = `networks: {peaq: {assets: [${TOKEN}]}}`
    expect(accepted(`${head}${ROUTES}${text}`).routes[0]?.price).toMatchObject({
      offers: [{ symbol: 'TUSD', v1Network: 'peaq' }],
    })
  })

  it('of other kinds may be described too', () => {
    const mint = '{symbol: PING, address: 4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU, decimals: 9'
    const program = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA'
    const text = `networks: {local: {id: "solana:local", assets: [${mint}, program: ${program}}]}}`
    expect(networkOf(text, 'local')).toMatchObject({
      family: 'solana',
      assets: [{ symbol: 'PING', decimals: 9, program, dollarPegged: false }],
    })
    expect(
      networkOf(text.replaceAll('local', 'solana').replace('solana:solana', SOLANA), 'solana'),
    ).toMatchObject({ v1Name: 'solana', assets: { length: 6 } })
  })

  it.each(networksNotSold)('is not sold on: %s', name => {
    const found = problemsOf(`${HEAD.replace('[base-sepolia]', `[${name}]`)}${ROUTES}`)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({
      item: 'accepts[0]',
      message: `farebox cannot check payments on ${name}, and sells nothing unchecked`,
      cure: 'Name another network: `farebox networks` shows which can be sold on.',
    })
  })

  it.each([
    ['{base: {rpc: [ftp://a]}}', 'networks.base.rpc[0]: is not an http or https URL'],
    ['{base: {rpc: ["https://u:p@a"]}}', 'networks.base.rpc[0]: has a user name or password in it'],
    ['{base: {rpc: ["https://a/#x"]}}', 'networks.base.rpc[0]: has a query or a fragment'],
    ['{base: {rpc: ["https://a/?x#y"]}}', 'networks.base.rpc[0]: has a fragment'],
    ['{base: {rpc: [http://a, http://a]}}', 'networks.base.rpc[1]: is there twice'],
    [
      '{base: {id: "eip155:1"}}',
      'networks.base.id: is another chain than base, which is eip155:8453',
    ],
    ['{mine: {rpc: [http://a]}}', 'networks.mine: is not a network that farebox knows'],
    [
      '{mine: {id: "eip155:8453", assets: [{symbol: A, address: "0x036CbD53842c5426634e7929541eC2318f3dCF7e", decimals: 6, eip712: {name: A, version: "1"}}]}}',
      'networks.mine: has the id or the version 1 name of base',
    ],
    ['{base: {finality: many}}', 'networks.base.finality: "many" is not a whole number that fits'],
    [
      '{base: {assets: [{symbol: A, address: "0x1", decimals: 6, eip712: {name: A, version: "1"}}]}}',
      'networks.base.assets[0].address: has 1 hex digits where an address has 40',
    ],
    [
      '{base: {assets: [{symbol: A, address: "0x036CbD53842c5426634e7929541eC2318f3dCF7e", decimals: 6}]}}',
      'networks.base.assets[0]: lacks eip712, the signing domain of an EVM token',
    ],
    [
      `{base: {assets: [${TOKEN}, ${TOKEN}]}}`,
      'networks.base.assets[1]: has the symbol or the address of an entry before it',
    ],
    [
      `{base: {assets: [${TOKEN.replace('}', '}, program: Token')}]}}`,
      'networks.base.assets[0].program: is only for tokens on Solana networks',
    ],
    [
      '{solana: {assets: [{symbol: A, address: 4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU, decimals: 6}]}}',
      'networks.solana.assets[0]: lacks program, the token program of a Solana mint',
    ],
    [
      '{algorand: {assets: [{symbol: A, address: "0x1", decimals: 6}]}}',
      'networks.algorand.assets[0].address: is not an address on algorand',
    ],
    [
      `{stellar: {assets: [{symbol: A, address: C${'A'.repeat(55)}, decimals: 7, eip712: {name: a, version: b}}]}}`,
      'networks.stellar.assets[0].eip712: is only for tokens on EVM networks',
    ],
    ['{mine: {id: "bip122:1"}}', 'networks.mine.id: is not written as it should be'],
    [
      '{base: {explorer: "https://a/tx"}}',
      'networks.base.explorer: is not a link with {transaction} in it',
    ],
  ])('refuses %s', (text, expected) => {
    const found = brief(problemsOf(`${HEAD}${ROUTES}networks: ${text}`))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(expected)
  })

  it('never repeats a URL: it may carry a key', () => {
    for (const url of [`ftp://${KEY}`, `https://${KEY}:x@a`, `https://a/#${KEY}`, `${KEY} x`]) {
      const text = `${HEAD}${ROUTES}networks: {base: {rpc: ["${url}"]}}`
      expect(JSON.stringify(problemsOf(text))).not.toContain(KEY)
      const secret = `${HEAD}${ROUTES}networks: {base: {rpc: ["\${URL}"]}}`
      expect(JSON.stringify(problemsOf(secret, { URL: url }))).not.toContain(KEY)
    }
  })
})

describe('store', () => {
  it('remembers for as long as it is told', () => {
    const text = 'store: {url: "sqlite::memory:", redeemable: 2h, retention: 365d}\n'
    expect(accepted(`${HEAD}${ROUTES}${text}`).store).toMatchObject({
      redeemableMs: 7_200_000,
      retentionMs: 365 * 86_400_000,
    })
  })

  it('refuses times that make no sense', () => {
    const text = `${HEAD}${ROUTES}store: {redeemable: 10ms, retention: 1m}\n`
    const found = brief(problemsOf(text))
    expect(found).toHaveLength(2)
    for (const problem of found) expect(problem).toContain('is too short')
  })
})
