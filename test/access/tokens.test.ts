import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  createInlineKeySet,
  createRemoteKeySet,
  type KeySet,
  type KeysUnavailableError,
} from '../../src/access/key-set.ts'
import { createTokenCheck } from '../../src/access/tokens.ts'
import type { JwtConfig } from '../../src/config/access-config.ts'
import {
  AUDIENCE,
  type Claims,
  ISSUER,
  type Issuer,
  type SigningKey,
  signingKey,
  startIssuer,
  tokenOf,
} from './issuer.ts'

let issuer: Issuer
let key: SigningKey
let other: SigningKey
beforeAll(async () => {
  ;[key, other] = await Promise.all([signingKey('one'), signingKey('two', 'RS256')])
  issuer = await startIssuer([key])
})
afterAll(() => issuer.close())

const config: JwtConfig = {
  jwks: { kind: 'url', url: '' },
  issuer: ISSUER,
  audiences: [AUDIENCE, 'another'],
  claims: new Map(),
  forward: false,
}

const claimsOf = (claims: Record<string, string>) => ({
  ...config,
  claims: new Map(Object.entries(claims)),
})

function inline(...keys: SigningKey[]): KeySet {
  return createInlineKeySet(JSON.stringify({ keys: keys.map(({ publicKey }) => publicKey) }))
}

const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

describe('a token', () => {
  const judge = (token: string, asked: JwtConfig = config) =>
    createTokenCheck(asked, inline(key, other))(token)
  const reason = async (token: string, asked?: JwtConfig) => {
    const check = await judge(token, asked)
    return check.kind === 'flawed' ? check.reason : 'good'
  }

  test.each(['ES256', 'RS256', 'PS256', 'Ed25519', 'ES384'])(
    'signed with %s is good',
    async alg => {
      const signer = await signingKey('three', alg)
      const check = createTokenCheck(config, inline(signer))
      expect(await check(await tokenOf(signer))).toEqual({ kind: 'good', subject: 'partner-b' })
    },
  )

  test.each<[string, Claims, string]>([
    ['of another issuer', { iss: `${ISSUER}x` }, 'jwt_issuer'],
    ['without an issuer', { iss: undefined }, 'jwt_issuer'],
    ['for another audience', { aud: 'https://elsewhere.example.com' }, 'jwt_audience'],
    ['without an audience', { aud: undefined }, 'jwt_audience'],
    ['for one of two audiences', { aud: ['x', 'another'] }, 'good'],
    ['that has run out', { exp: secondsFromNow(-60) }, 'jwt_expired'],
    ['that never ends', { exp: undefined }, 'jwt_expired'],
    ['that ran out a moment ago, by our clock', { exp: secondsFromNow(-15) }, 'good'],
    ['that is not valid yet', { nbf: secondsFromNow(60) }, 'jwt_not_yet_valid'],
    ['that is valid in a moment, by our clock', { nbf: secondsFromNow(15) }, 'good'],
  ])('%s: %o', async (_case, claims, expected) => {
    expect(await reason(await tokenOf(key, claims))).toBe(expected)
  })

  test.each<[Record<string, string>, Claims, string]>([
    [{ plan: 'partner' }, { plan: 'partner' }, 'good'],
    [{ plan: 'partner' }, { plan: ['free', 'partner'] }, 'good'],
    [{ plan: 'partner' }, { plan: 'partners' }, 'jwt_claim'],
    [{ plan: 'partner' }, { plan: { partner: true } }, 'jwt_claim'],
    [{ plan: 'partner' }, {}, 'jwt_claim'],
    [{ level: '3', paid: 'true' }, { level: 3, paid: true }, 'good'],
    [{ scope: 'read' }, { scope: 'write read' }, 'good'],
    [{ plan: 'read' }, { plan: 'write read' }, 'jwt_claim'],
    [{ constructor: 'x' }, {}, 'jwt_claim'],
  ])('whose claims have to be %o', async (wanted, claims, expected) => {
    expect(await reason(await tokenOf(key, claims), claimsOf(wanted))).toBe(expected)
  })

  test('signed with another key of the same name is none', async () => {
    const forged = await tokenOf(await signingKey('one'))
    expect(await reason(forged)).toBe('jwt_signature')
  })

  // The public key as the secret of a symmetric signature (RFC 8725, section 2.1).
  test('signed with the public key as a secret, or with none, is none', async () => {
    const claims = { iss: ISSUER, aud: AUDIENCE, exp: secondsFromNow(60) }
    const secret = Buffer.from(JSON.stringify(other.publicKey))
    const parts = (alg: string) =>
      [{ alg, kid: 'two' }, claims].map(part =>
        Buffer.from(JSON.stringify(part)).toString('base64url'),
      )
    const signed = parts('HS256').join('.')
    const mac = createHmac('sha256', secret).update(signed).digest('base64url')
    expect(await reason(`${signed}.${mac}`)).toBe('jwt_algorithm')
    expect(await reason(`${parts('none').join('.')}.`)).toBe('jwt_algorithm')
    expect(await reason(`${parts('none').join('.')}.AA`)).toBe('jwt_algorithm')
    expect(await reason(`${parts('RS256').join('.')}.${mac}`)).toBe('jwt_signature')
  })

  test('that brings its own key, or says where it is, is none', async () => {
    const thief = await signingKey('thief')
    const header = { jwk: thief.publicKey, jku: issuer.url, x5u: issuer.url }
    const before = issuer.fetches
    expect(await reason(await tokenOf(thief, {}, header))).toBe('jwt_unknown_key')
    expect(await reason(await tokenOf(thief, {}, { ...header, kid: 'one' }))).toBe('jwt_signature')
    expect(issuer.fetches).toBe(before)
  })

  test('with a header that must be understood and is not, is none', async () => {
    const { privateKey } = key
    const token = await new SignJWT({ iss: ISSUER, aud: AUDIENCE, exp: secondsFromNow(60) })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', crit: ['x'], x: 1 })
      .sign(privateKey, { crit: { x: true } })
    expect(await reason(token)).toBe('jwt_malformed')
  })

  test('whose subject cannot stand in a header has no name', async () => {
    for (const sub of ['a\r\nfarebox-payer: 0x', 'ä', 'a b', '', 'x'.repeat(257)]) {
      expect(await judge(await tokenOf(key, { sub }))).toEqual({ kind: 'good', subject: null })
    }
  })

  test('property: whatever is changed in a token or made up, it is flawed, and nothing throws', async () => {
    const check = createTokenCheck(config, inline(key, other))
    const good = await tokenOf(key)
    const json = fc.json().map(text => Buffer.from(text).toString('base64url'))
    const madeUp = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(json, json, fc.base64String()).map(parts => parts.join('.')),
      fc
        .tuple(fc.nat(good.length - 1), fc.constantFrom(...'AZaz09-_.'))
        .map(([at, letter]) => good.slice(0, at) + letter + good.slice(at + 1)),
    )
    // The last letter of a signature has bits that no byte is made of.
    const isSame = (token: string): boolean => token.slice(0, -1) === good.slice(0, -1)
    await fc.assert(
      fc.asyncProperty(madeUp, async token => {
        expect((await check(token)).kind === 'flawed' || isSame(token)).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('the keys of an issuer', () => {
  let now = 0
  let errors: KeysUnavailableError[] = []
  beforeEach(() => {
    now = 0
    errors = []
    Object.assign(issuer, { keys: [key.publicKey], body: null, fetches: 0 })
  })

  function open(url = issuer.url) {
    const reportError = (error: KeysUnavailableError): void => void errors.push(error)
    const check = createTokenCheck(config, createRemoteKeySet(url, { now: () => now, reportError }))
    return async (signer: SigningKey) => {
      const { kind, ...rest } = await check(await tokenOf(signer))
      return 'reason' in rest ? rest.reason : kind
    }
  }

  test('are fetched once, whoever asks at the same time', async () => {
    const judge = open()
    expect(issuer.fetches).toBe(0)
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => judge(key))))).toEqual(
      new Set(['good']),
    )
    expect(issuer.fetches).toBe(1)
  })

  test('are not asked for tokens that could not be good', async () => {
    const check = createTokenCheck(
      config,
      createRemoteKeySet(issuer.url, { now: () => now, reportError: () => {} }),
    )
    for (const claims of [{ iss: 'x' }, { exp: 1 }]) await check(await tokenOf(key, claims))
    await check('a.b.c')
    expect(issuer.fetches).toBe(0)
  })

  test('are fetched again for a key that is new, and for strangers no oftener than that', async () => {
    const judge = open()
    await judge(key)
    issuer.keys = [key.publicKey, other.publicKey]
    expect(await judge(other)).toBe('jwt_unknown_key')
    now = 10_000
    expect(await judge(other)).toBe('good')
    const stranger = await signingKey('stranger')
    for (let index = 0; index < 200; index++) {
      now += 100
      expect(await judge(stranger)).toBe('jwt_unknown_key')
    }
    expect(issuer.fetches).toBe(4)
  })

  test('that are taken back are good for no longer than they are fresh and fetched', async () => {
    const judge = open()
    await judge(key)
    issuer.keys = [other.publicKey]
    now = 5 * 60_000 + 1
    expect(await judge(key)).toBe('good')
    await expect.poll(() => judge(key)).toBe('jwt_unknown_key')
  })

  test('are used for an hour while they cannot be fetched, and then no more', async () => {
    const judge = open()
    await judge(key)
    issuer.keys = null
    now = 60 * 60_000
    expect(await judge(key)).toBe('good')
    await expect.poll(() => errors.length).toBe(1)
    now += 20_000
    expect(await judge(key)).toBe('jwks_unavailable')
    issuer.keys = [key.publicKey]
    expect(await judge(key)).toBe('jwks_unavailable')
    now += 10_000
    expect(await judge(key)).toBe('good')
  })

  test.each([
    ['no JSON', '<html>'],
    ['no list', '{"keys": {}}'],
    ['null', 'null'],
    ['too long', `{"keys": [], "x": "${'x'.repeat(300_000)}"}`],
  ])('are none when what comes is %s', async (_case, body) => {
    issuer.body = body
    expect(await open()(key)).toBe('jwks_unavailable')
    expect(errors).toHaveLength(1)
    expect(String(errors[0])).not.toContain('/jwks.json')
  })

  test('are not followed to somewhere else', async () => {
    expect(await open(issuer.url.replace('/jwks.json', '/moved'))(key)).toBe('jwks_unavailable')
    expect(issuer.fetches).toBe(1)
  })

  test('that are symmetric are none, whatever the issuer says', async () => {
    issuer.keys = [{ kty: 'oct', k: 'AAAA', kid: 'one', alg: 'ES256' }]
    expect(await open()(key)).toBe('jwt_unknown_key')
  })
})
