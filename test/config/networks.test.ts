import { describe, expect, it } from 'vitest'
import { accepted, brief, HEAD, problemsOf } from './support.ts'

const ROUTES = 'routes: {GET /x: $0.001}\n'
const KEY = 'sk-very-secret'

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
    const asset =
      '{symbol: TUSD, address: "0x036cbd53842c5426634e7929541ec2318f3dcf7e", decimals: 6, ' +
      'eip712: {name: Test, version: "1"}, dollarPegged: true}'
    const text = `networks: {ours: {id: "eip155:424242", testnet: true, assets: [${asset}]}}\n`
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
