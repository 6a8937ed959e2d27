import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { formatProblem } from '../../src/config/problems.ts'
import { brief, readService } from './support.ts'

const KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d'
const RPC = 'https://rpc.example.com/k3y'
const BEARER = 'bearer-0123456789abcdef'
const SHA256 = createHash('sha256').update(BEARER).digest('hex')
const USDC = '0x036cbd53842c5426634e7929541ec2318f3dcf7e'

const local = `local: {networks: {base-sepolia: {rpc: ${RPC}}}, key: "${KEY}"}\n`
const file = (keys: string, rest = ''): string => `version: 1\n${local}keys: ${keys}\n${rest}`

function loaded(text: string, env: Record<string, string> = {}) {
  const result = readService(text, env)
  if (result.kind === 'loaded') return result.config
  throw new Error(result.problems.map(formatProblem).join('\n'))
}

function problemsOf(text: string) {
  const result = readService(text)
  return result.kind === 'invalid' ? result.problems : []
}

describe('the file of farebox facilitator', () => {
  it('has its defaults', () => {
    const config = loaded(file(`[{name: shop, sha256: ${SHA256.toUpperCase()}}]`))
    expect(config).toMatchObject({
      listen: { host: '0.0.0.0', port: 8403 },
      admin: { host: '127.0.0.1', port: 9403 },
      local: { kind: 'local', networks: [{ id: 'eip155:84532' }] },
      store: { kind: 'sqlite', path: '/etc/farebox/data/facilitator.db', redeemableMs: 0 },
    })
    expect(config.keys).toEqual([
      { name: 'shop', sha256: SHA256, perMinute: 600, concurrency: 64, amountsMax: null },
    ])
    expect(config.networks.find(({ id }) => id === 'eip155:84532')?.rpc).toEqual([RPC])
  })

  it('keeps of a key its hash alone, and of an amount what each token makes of it', () => {
    const keys = `[{name: shop, key: "\${BEARER}", limits: {perMinute: 5, maxAmount: $0.5}}]`
    const config = loaded(file(keys), { BEARER })
    expect(config.keys).toMatchObject([{ sha256: SHA256, perMinute: 5 }])
    expect(config.keys[0]?.amountsMax?.get(`eip155:84532/${USDC}`)).toBe(500_000n)
    expect(JSON.stringify(config.keys)).not.toContain(BEARER)
  })

  it.each<[string, string, string[]]>([
    ['nobody', '[]', ['keys: has no entry: nobody could ask for anything']],
    ['an entry without a key', '[{name: shop}]', ['keys[0]: has no key']],
    [
      'an entry with both',
      `[{name: shop, key: "${BEARER}", sha256: ${SHA256}}]`,
      ['keys[0]: has both sha256 and key'],
    ],
    [
      'a key that can be guessed',
      '[{name: shop, key: hunter2}]',
      ['keys[0].key: is not a key that can be sent and not be guessed'],
    ],
    ['a hash with a slip', '[{name: shop, sha256: abc}]', ['keys[0].sha256: is not a SHA-256']],
    [
      'a name twice',
      `[{name: shop, sha256: ${SHA256}}, {name: shop, sha256: ${'0'.repeat(64)}}]`,
      ['keys[1].name: is there twice'],
    ],
    [
      'a key twice',
      `[{name: shop, sha256: ${SHA256}}, {name: other, key: "${BEARER}"}]`,
      ['keys[1]: has the key of another name'],
    ],
    [
      'an amount without a currency',
      `[{name: shop, sha256: ${SHA256}, limits: {maxAmount: 5}}]`,
      ['keys[0].limits.maxAmount: "5" is not an amount of dollars'],
    ],
    [
      'a slip in a limit, with the cure',
      `[{name: shop, sha256: ${SHA256}, limits: {perMinut: 5}}]`,
      ['keys[0].limits.perMinut: is not a key that farebox knows here'],
    ],
  ])('refuses %s', (_, keys, expected) => {
    const problems = problemsOf(file(keys))
    expect(brief(problems).map(text => text.replace(/^\S+ /, ''))).toEqual(expected)
    expect(problems[0]?.cure).not.toBe('')
  })

  it('finds what is wrong with the local facilitator at its place', () => {
    const text = file(`[{name: shop, sha256: ${SHA256}}]`, 'admin: {listen: 8403}\n')
    const wrong = text.replace('base-sepolia', 'base-sepoila')
    expect(brief(problemsOf(wrong))).toEqual([
      '2:20 local.networks.base-sepoila: is not a network that farebox knows',
      expect.stringContaining('admin.listen: uses port 8403'),
    ])
  })

  it.each([
    ['local', `version: 1\nkeys: [{name: shop, sha256: ${SHA256}}]\n`],
    ['keys', `version: 1\n${local}`],
  ])('says that %s is missing, and what it is for', (item, text) => {
    const problems = problemsOf(text)
    expect(problems).toMatchObject([{ item, message: 'is missing' }])
    expect(problems[0]?.cure.length).toBeGreaterThan(10)
  })

  it('repeats no key in a finding', () => {
    const told = problemsOf(file('[{name: shop, key: hunter2, sha256: hunter3}]'))
    expect(told.map(formatProblem).join('\n')).not.toMatch(/hunter/)
  })
})
