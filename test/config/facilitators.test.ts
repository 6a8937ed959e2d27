import { describe, expect, it } from 'vitest'
import { loadFacilitatorPresets } from '../../src/config/facilitator-presets.ts'
import { readConfig } from '../../src/config/load.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'
import {
  type ApiKey,
  coinbaseEd25519Key,
  coinbaseP256Key,
  payaiKey,
} from '../facilitator/api-keys.ts'
import { accepted, brief, HEAD, problemsOf } from './support.ts'

const ROUTE = 'routes: {GET /x: $0.001}\n'
const coinbase = coinbaseEd25519Key()
const payai = payaiKey()
const CDP = { CDP_API_KEY_ID: coinbase.keyId, CDP_API_KEY_SECRET: coinbase.keySecret }
const PAYAI = { PAYAI_API_KEY_ID: payai.keyId, PAYAI_API_KEY_SECRET: payai.keySecret }

const withFacilitators = (list: string, accepts = 'base-sepolia'): string =>
  `${HEAD.replace('[x402-org]', list).replace('[base-sepolia]', `[${accepts}]`)}${ROUTE}`

type Environment = Record<string, string>

const facilitatorsOf = (list: string, env: Environment = {}) =>
  accepted(withFacilitators(list), env).facilitators

describe('every preset', () => {
  const presets = [...loadFacilitatorPresets()].map(([name, preset]) => ({ name, ...preset }))
  const registry = loadNetworkRegistry()

  it.each(presets)('$name serves networks that are known, at a URL without a slash', preset => {
    for (const url of [preset.url, ...preset.otherUrls]) {
      expect(url).toMatch(/^https:\/\/[^?#@]+[^/]$/)
    }
    for (const network of preset.networks ?? []) expect(registry.find(network)?.name).toBe(network)
    if (!preset.hasSupported) expect(preset.networks).not.toBeNull()
  })

  it('has one URL, and keys that come from variables alone', () => {
    expect(new Set(presets.map(({ url }) => url)).size).toBe(presets.length)
    for (const { auth, headers } of presets) {
      const { kind: _kind, ...keys } = auth ?? { kind: 'none' }
      for (const text of [...Object.values(keys), ...Object.values(headers)]) {
        expect(text).toMatch(/^(Bearer )?\$\{[A-Z0-9_]+\}$/)
      }
    }
  })

  it.each(presets.filter(({ gatewayWallet }) => !gatewayWallet))('$name can be named', preset => {
    const text = withFacilitators(`[${preset.name}]`, preset.networks?.find(isSellable) ?? 'base')
    const env = {
      ...{ ...CDP, ...PAYAI, THIRDWEB_SECRET_KEY: 'k', QUESTFLOW_API_KEY: 'k' },
      AURRACLOUD_API_KEY: 'k',
    }
    const expected = { name: preset.name, preset: preset.name, url: preset.url }
    expect(accepted(text, env).facilitators).toMatchObject([expected])
  })

  const isSellable = (name: string): boolean => {
    const network = registry.find(name)
    return network?.family === 'evm' && network.assets.length > 0
  }
})

describe('presets with keys', () => {
  it('take them from the environment', () => {
    expect(facilitatorsOf('[coinbase, payai]', { ...CDP, ...PAYAI })).toMatchObject([
      { name: 'coinbase', auth: { kind: 'coinbase', ...keysOf(coinbase) } },
      { name: 'payai', auth: { kind: 'payai', ...keysOf(payai) } },
    ])
    const p256 = coinbaseP256Key()
    const [found] = facilitatorsOf('[coinbase]', environmentOf(p256))
    expect(found).toMatchObject({ auth: { kind: 'coinbase', ...keysOf(p256) } })
  })

  it('work without, where the service does', () => {
    expect(facilitatorsOf('[payai]')).toMatchObject([{ name: 'payai', auth: { kind: 'none' } }])
  })

  it('name every variable that is missing, and what to do', () => {
    const text = withFacilitators('[coinbase, aurracloud, thirdweb]')
    const found = problemsOf(text).map(({ item, message, cure }) => [item, message, cure])
    expect(found).toEqual(
      [
        [0, 'CDP_API_KEY_ID'],
        [0, 'CDP_API_KEY_SECRET'],
        [1, 'AURRACLOUD_API_KEY'],
        [2, 'THIRDWEB_SECRET_KEY'],
      ].map(([index, name]) => [
        `facilitators[${index}]`,
        `needs the environment variable ${name}, which is not set`,
        `Set ${name} before farebox starts.`,
      ]),
    )
  })

  it('are never anonymous with half a key, or a wrong one', () => {
    const { PAYAI_API_KEY_ID, PAYAI_API_KEY_SECRET } = PAYAI
    const half = brief(problemsOf(withFacilitators('[payai]'), { PAYAI_API_KEY_ID }))
    expect(half).toEqual([
      expect.stringContaining('needs the environment variable PAYAI_API_KEY_SECRET'),
    ])
    const wrong = { PAYAI_API_KEY_ID, PAYAI_API_KEY_SECRET: PAYAI_API_KEY_SECRET.slice(4) }
    const [problem, ...others] = problemsOf(withFacilitators('[payai]'), wrong)
    expect(others).toEqual([])
    expect(problem?.message).toBe('PAYAI_API_KEY_SECRET is not a secret of a PayAI API key')
    const empty = { PAYAI_API_KEY_ID, PAYAI_API_KEY_SECRET: '' }
    expect(brief(problemsOf(withFacilitators('[payai]'), empty)).join()).toContain('is empty')
  })

  it('take keys and headers of the operator’s own instead', () => {
    const auth = `{kind: coinbase, keyId: "\${ID}", keySecret: "\${SECRET}"}`
    const list = `[{url: coinbase, auth: ${auth}}, {url: questflow, headers: {Authorization: "Bearer x"}}]`
    const env = { ID: coinbase.keyId, SECRET: coinbase.keySecret }
    expect(facilitatorsOf(list, env)).toMatchObject([
      { name: 'coinbase', auth: { kind: 'coinbase', ...keysOf(coinbase) } },
      { name: 'questflow', headers: { authorization: 'Bearer x' } },
    ])
  })
})

describe('a URL of a service that is known', () => {
  it('has its addresses and its ways, and neither its keys nor its limits', () => {
    const list = '["https://x402.org/facilitator/", "https://facilitators.x402scan.com"]'
    const { facilitators } = accepted(withFacilitators(list, 'base, monad'))
    expect(facilitators).toMatchObject([
      {
        name: 'x402.org',
        preset: null,
        quirks: { otherUrls: ['https://www.x402.org/facilitator'] },
      },
      { name: 'facilitators.x402scan.com', quirks: { supported: ['eip155:8453'] } },
    ])
  })
})

describe('keys for a URL', () => {
  const URL = 'https://f.example/v2'

  it.each([
    ['coinbase', coinbase.keySecret],
    ['coinbase', coinbaseP256Key().keySecret],
    ['coinbase', coinbaseP256Key('sec1').keySecret],
    // As environment files have to write it.
    ['coinbase', coinbaseP256Key().keySecret.replaceAll('\n', '\\n')],
    ['payai', payai.keySecret],
    ['payai', `payai_sk_${payai.keySecret}`],
  ])('may be of kind %s', (kind, SECRET) => {
    const list = `[{url: "${URL}", auth: {kind: ${kind}, keyId: id, keySecret: "\${SECRET}"}}]`
    const [found] = facilitatorsOf(list, { SECRET })
    expect(found).toMatchObject({
      ...{ name: 'f.example', preset: null, url: URL },
      auth: { kind, keyId: 'id', keySecret: SECRET },
    })
  })

  it('may be at the end of its path', () => {
    const [found] = facilitatorsOf(`[{url: "${URL}", auth: {kind: path, key: "\${K}"}}]`, {
      K: 'k',
    })
    expect(found).toMatchObject({ url: URL, auth: { kind: 'path', key: 'k' } })
  })

  const ed448 = 'MEcCAQAwBQYDK2VxBDsEOWyCpWLLgI0Q1jK+ichRPr9skp803fqMn2PJlg7240ij'
  const other = coinbaseEd25519Key().keySecret
  const mixed = Buffer.concat([
    Buffer.from(coinbase.keySecret, 'base64').subarray(0, 32),
    Buffer.from(other, 'base64').subarray(32),
  ]).toString('base64')

  it.each([
    ['coinbase', 'a word', 'correct horse', 'is not a secret of a Coinbase API key'],
    ['coinbase', 'half a key', coinbase.keySecret.slice(0, 44), 'is not a secret of a Coinbase'],
    ['coinbase', 'halves of two keys', mixed, 'has two halves that do not belong together'],
    ['coinbase', 'a damaged PEM', '-----BEGIN PRIVATE KEY-----\nx', 'is a PEM key that is damaged'],
    ['coinbase', 'a PEM of another kind', pemOf(payai), 'not one on the curve P-256'],
    ['coinbase', 'PayAI’s', payai.keySecret, 'is not a secret of a Coinbase API key'],
    ['payai', 'Coinbase’s', coinbase.keySecret, 'is not a secret of a PayAI API key'],
    ['payai', 'another curve', ed448, 'is not a secret of a PayAI API key'],
    ['payai', 'its prefix alone', 'payai_sk_ with nothing', 'is not a secret of a PayAI API key'],
  ])('refuses for %s: %s', (kind, _, SECRET, message) => {
    const list = `[{url: "${URL}", auth: {kind: ${kind}, keyId: id, keySecret: "\${SECRET}"}}]`
    const problems = problemsOf(withFacilitators(list), { SECRET })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ item: 'facilitators[0].auth.keySecret' })
    expect(problems[0]?.message).toContain(message)
    expect(problems[0]?.cure).toContain('again')
    expect(JSON.stringify(problems)).not.toContain(SECRET.slice(-12))
  })

  it.each([
    ['{kind: coinbse, keyId: a, keySecret: b}', 'facilitators[0].auth'],
    ['{kind: coinbase, keyId: a}', 'facilitators[0].auth.keySecret: is missing'],
    ['{kind: path, keyId: a}', 'facilitators[0].auth'],
    [
      `{kind: payai, keyId: "a b", keySecret: "\${SECRET}"}`,
      'facilitators[0].auth.keyId: has a space',
    ],
    ['coinbase', 'facilitators[0].auth'],
  ])('refuses %s', (auth, expected) => {
    const text = withFacilitators(`[{url: "${URL}", auth: ${auth}}]`)
    const found = brief(problemsOf(text, { SECRET: payai.keySecret }))
    expect(found.length).toBeGreaterThan(0)
    expect(found.join('\n')).toContain(expected)
  })

  it('says what a service without /supported serves', () => {
    const [found] = facilitatorsOf(`[{url: "${URL}", supported: [base-sepolia, base]}]`)
    expect(found).toMatchObject({ quirks: { supported: ['eip155:84532', 'eip155:8453'] } })
    const [problem] = brief(
      problemsOf(withFacilitators(`[{url: "${URL}", supported: [bass, base-sepolia]}]`)),
    )
    expect(problem).toContain('facilitators[0].supported[0]: "bass" is not a network')
  })
})

function keysOf({ keyId, keySecret }: ApiKey): Omit<ApiKey, 'publicKey'> {
  return { keyId, keySecret }
}

function environmentOf({ keyId, keySecret }: ApiKey): Environment {
  return { CDP_API_KEY_ID: keyId, CDP_API_KEY_SECRET: keySecret }
}

function pemOf({ keySecret }: ApiKey): string {
  return `-----BEGIN PRIVATE KEY-----\n${keySecret}\n-----END PRIVATE KEY-----\n`
}

describe('what a facilitator does not take', () => {
  const networks = loadNetworkRegistry()
  const [first] = loadFacilitatorPresets().values()
  if (first === undefined) throw new Error('There is no preset.')
  const presets = new Map([
    ['short', { ...first, limits: { descriptionLength: 5, minimum: null }, networks: ['base'] }],
    [
      'dear',
      {
        ...first,
        url: 'https://d.example',
        limits: { descriptionLength: null, minimum: '$0.01' },
        networks: null,
      },
    ],
    [
      'listed',
      {
        ...first,
        url: 'https://l.example',
        networks: ['base'],
        registration: 'https://l.example/register',
      },
    ],
  ])

  function check(list: string, route: string, accepts = 'base') {
    const text = withFacilitators(list, accepts).replace(ROUTE, `routes: {GET /x: ${route}}\n`)
    const options = { file: 'f', env: {}, networks, presets, directory: '/' }
    const result = readConfig(text, options)
    const told = (result.kind === 'loaded' ? result.notes : result.problems).map(
      ({ item, message }) => `${item}: ${message}`,
    )
    return { kind: result.kind, told }
  }

  const long = '{price: $0.001, description: "☔☔☔☔☔☔"}'

  it('is an error where no other takes it: a long description', () => {
    expect(check('[short]', long)).toEqual({
      kind: 'invalid',
      told: [
        'routes."GET /x".description: has 6 characters, and short takes payments with at most 5',
      ],
    })
    expect(check('[short]', '{price: $0.001, description: "☔☔☔☔☔"}').kind).toBe('loaded')
  })

  it('is a note where another takes it', () => {
    const { kind, told } = check('[short, dear]', long.replace('$0.001', '$0.01'))
    expect({ kind, told }).toMatchObject({ kind: 'loaded', told: { length: 1 } })
    expect(check('[short, "https://f.example"]', long).kind).toBe('loaded')
  })

  it('is an error where each has a reason of its own', () => {
    expect(check('[short, dear]', long)).toMatchObject({ kind: 'invalid', told: { length: 2 } })
  })

  it('is less than it settles', () => {
    expect(check('[dear]', '$0.001')).toEqual({
      kind: 'invalid',
      told: ['routes."GET /x": 0.001 USDC on base is less than dear settles'],
    })
    expect(check('[dear]', '$0.01').kind).toBe('loaded')
    // At 18 decimals, too.
    expect(check('[dear]', '$0.009999', 'mezo').kind).toBe('invalid')
    expect(check('[dear]', '$0.01', 'mezo').kind).toBe('loaded')
  })

  it('is a network that it does not serve: said once for all routes', () => {
    const text = withFacilitators('[listed]', 'base-sepolia').replace(
      ROUTE,
      'routes: {/a: $1, /b: $1}\n',
    )
    const options = { file: 'f', env: {}, networks, presets, directory: '/' }
    const result = readConfig(text, options)
    expect(result.kind === 'invalid' && brief(result.problems)).toEqual([
      expect.stringContaining(
        'facilitators: none of these serves base-sepolia, as far as is known',
      ),
    ])
    const { kind, told } = check('[listed, dear]', '$0.01', 'base, base-sepolia')
    expect(kind).toBe('loaded')
    expect(told).toContain(
      'facilitators[0]: listed does not serve base-sepolia, as far as is known',
    )
  })

  it('is a receiver that is not registered: a note for each such facilitator', () => {
    expect(check('[listed]', '$0.01')).toEqual({
      kind: 'loaded',
      told: ['facilitators[0]: listed pays only addresses that are registered with it'],
    })
  })

  it('nothing is said of while an entry of the list is wrong', () => {
    const { told } = check('[listed, litsed]', '$0.01', 'base-sepolia')
    expect(told).toEqual([expect.stringContaining('"litsed" is neither a URL nor a preset')])
  })
})

describe('payments via Circle Gateway', () => {
  const VIA = '{network: base-sepolia, via: circle-gateway}'
  const shop = (accepts: string, list = '[circle-gateway-testnet]', settle = 'before-upstream') =>
    `${HEAD.replace('[x402-org]', list).replace('[base-sepolia]', `[${accepts}]`)}` +
    `routes: {GET /x: {price: $0.001, settle: ${settle}}}\n`
  const messages = (text: string): string =>
    problemsOf(text)
      .map(({ message }) => message)
      .join()

  it('are offered in USDC, for seven days, and not to version 1', () => {
    const [route] = accepted(shop(VIA)).routes
    expect(route?.price).toMatchObject({
      offers: [
        {
          ...{ transferMethod: 'gateway-wallet', symbol: 'USDC', v1Network: null },
          requirements: {
            ...{ amount: '1000', maxTimeoutSeconds: 604_900 },
            extra: { name: 'GatewayWalletBatched', version: '1' },
          },
        },
      ],
    })
  })

  it('may be offered beside the same token on chain, without a note', () => {
    const text = shop(`base-sepolia, ${VIA}`, '[x402-org, circle-gateway-testnet]')
    const result = readConfig(text, {
      ...{ file: 'gateway.yaml', env: {}, networks: loadNetworkRegistry(), directory: '/' },
      presets: loadFacilitatorPresets(),
    })
    expect(result).toMatchObject({ kind: 'loaded', notes: [] })
  })

  it.each([
    ['where the money moves later', shop(VIA, undefined, 'on-response'), 'settled before the API'],
    [
      'where Circle keeps no balances',
      shop('{network: kite, via: circle-gateway}'),
      'no balances on',
    ],
    [
      'in another token',
      shop('{network: celo, asset: USDT, via: circle-gateway}', '[circle-gateway]'),
      'no balances on celo',
    ],
    [
      'with a time of their own',
      shop('{network: base-sepolia, via: circle-gateway, maxTimeout: 120s}'),
      'is always 604900s',
    ],
    ['without Circle', shop(VIA, '[x402-org]'), 'none of these serves payments via Circle Gateway'],
    ['on chain through Circle', shop('base-sepolia'), 'none of these serves base-sepolia'],
  ])('cannot be offered %s', (_, text, message) => {
    expect(messages(text)).toContain(message)
  })
})
