import { describe, expect, it } from 'vitest'
import { formatProblem } from '../../src/config/problems.ts'
import { accepted, brief, HEAD, problemsOf } from './support.ts'

const KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'
const RPC = 'https://rpc.example.com/k3y'
const ROUTES = 'routes: {/a: $0.001}\n'
const ADDRESS = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'

const withLocal = (local: string, rest = ''): string =>
  `${HEAD.replace('[x402-org]', `[{local: ${local}}]`)}${rest}${ROUTES}`

describe('a local facilitator in the file', () => {
  it('has its defaults, and its nodes become those of the network', () => {
    const config = accepted(withLocal(`{networks: {base-sepolia: {rpc: ${RPC}}}, key: "${KEY}"}`))
    expect(config.facilitators).toEqual([
      {
        ...{ kind: 'local', name: 'local', gasMax: 400_000n, deployers: [] },
        networks: [{ id: 'eip155:84532', feeCap: 50_000_000_000n }],
        keys: [{ kind: 'private-key', privateKey: KEY }],
        journal: '/etc/farebox/data/local-facilitator.db',
        ...{ replaceAfterMs: 30_000, settleTimeoutMs: 60_000, concurrency: 1_024 },
      },
    ])
    expect(config.networks.find(({ name }) => name === 'base-sepolia')?.rpc).toEqual([RPC])
  })

  it('adds its nodes after those of networks, each once', () => {
    const other = 'https://other.example.com'
    const local = `{networks: {base-sepolia: {rpc: [${RPC}, ${other}]}}, key: "${KEY}"}`
    const config = accepted(withLocal(local, `networks: {base-sepolia: {rpc: [${other}]}}\n`))
    const network = config.networks.find(({ name }) => name === 'base-sepolia')
    expect(network?.rpc).toEqual([other, RPC])
  })

  it('takes its nodes from networks alone, its key from the environment, and services that sign', () => {
    const networks = `networks: {base-sepolia: {rpc: [${RPC}]}}\n`
    const keys = `keys: ["\${KEY}", {url: "http://127.0.0.1:9000", address: "${ADDRESS}"}]`
    const local = `{networks: {base-sepolia: {maxFeePerGas: 0.05gwei}}, ${keys}}`
    const [facilitator] = accepted(withLocal(local, networks), { KEY: KEY.slice(2) }).facilitators
    expect(facilitator).toMatchObject({
      networks: [{ feeCap: 50_000_000n }],
      keys: [
        { kind: 'private-key', privateKey: KEY },
        { kind: 'remote', url: 'http://127.0.0.1:9000', address: ADDRESS },
      ],
    })
  })

  it.each<[string, string, string[]]>([
    [
      'a network that nobody knows',
      `{networks: {base-sepoila: {rpc: ${RPC}}}, key: "${KEY}"}`,
      ['facilitators[0].local.networks.base-sepoila: is not a network that farebox knows'],
    ],
    [
      'a network of another kind',
      `{networks: {solana: {rpc: ${RPC}}}, key: "${KEY}"}`,
      ['facilitators[0].local.networks.solana: is no network that farebox can settle on itself'],
    ],
    [
      'a network without a node',
      `{networks: {base-sepolia: {}}, key: "${KEY}"}`,
      ['facilitators[0].local.networks.base-sepolia: names no node of the chain'],
    ],
    [
      'a node that is no URL',
      `{networks: {base-sepolia: {rpc: nowhere}}, key: "${KEY}"}`,
      ['facilitators[0].local.networks.base-sepolia.rpc: is not an http or https URL'],
    ],
    [
      'no network',
      `{networks: {}, key: "${KEY}"}`,
      ['facilitators[0].local.networks: has no entry: there is nothing to settle on'],
    ],
    [
      'no key',
      `{networks: {base-sepolia: {rpc: ${RPC}}}}`,
      ['facilitators[0].local: names no key to send with'],
    ],
    [
      'two ways to sign',
      `{networks: {base-sepolia: {rpc: ${RPC}}}, key: "${KEY}", keys: ["${KEY}"]}`,
      ['facilitators[0].local: names key and keys'],
    ],
    [
      'a key with a slip',
      `{networks: {base-sepolia: {rpc: ${RPC}}}, key: "${KEY}1"}`,
      ['facilitators[0].local.key: is not a private key'],
    ],
    [
      'a key of zeros',
      `{networks: {base-sepolia: {rpc: ${RPC}}}, key: "0x${'0'.repeat(64)}"}`,
      ['facilitators[0].local.key: is not a private key'],
    ],
    [
      'a fee without a unit',
      `{networks: {base-sepolia: {rpc: ${RPC}, maxFeePerGas: 2}}, key: "${KEY}"}`,
      ['facilitators[0].local.networks.base-sepolia.maxFeePerGas: "2" is not a price of gas'],
    ],
    [
      'a key that is not known',
      `{networks: {base-sepolia: {rpc: ${RPC}}}, kee: "${KEY}", key: "${KEY}"}`,
      ['facilitators[0].local.kee: is not a key that farebox knows here'],
    ],
  ])('refuses %s', (_, local, expected) => {
    const problems = problemsOf(withLocal(local))
    expect(brief(problems).map(text => text.replace(/^\S+ /, ''))).toEqual(expected)
  })

  it('repeats no key and no URL of a node in a finding', () => {
    const bad = `${KEY}zz`
    const local = `{networks: {base-sepolia: {rpc: "ftp://${RPC}#"}}, keys: ["${bad}", {url: "k3y", address: "0x1"}]}`
    const told = problemsOf(withLocal(local)).map(formatProblem).join('\n')
    expect(told).toContain('is not a private key')
    expect(told).not.toContain(bad.slice(2, 20))
    expect(told).not.toContain('k3y')
  })

  it('refuses several workers, who would give out the same nonces', () => {
    const local = `{networks: {base-sepolia: {rpc: ${RPC}}}, key: "${KEY}"}`
    expect(brief(problemsOf(withLocal(local, 'server: {workers: 2}\n')))).toMatchObject([
      expect.stringContaining('facilitators[0].local: cannot be shared by several workers'),
    ])
  })

  it('still finds a slip in a facilitator with a URL', () => {
    const text = `${HEAD.replace('[x402-org]', '[{url: https://x.example.com, heders: {}}]')}${ROUTES}`
    expect(brief(problemsOf(text))[0]).toContain('facilitators[0].heders: is not a key')
  })
})
