import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { accepted, brief, HEAD, problemsOf } from './support.ts'

const HASH = 'ab'.repeat(32)
const KEYS = `{keys: [{name: partner-a, sha256: ${HASH}}]}`

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicJwk = publicKey.export({ format: 'jwk' })
const privateJwk = privateKey.export({ format: 'jwk' })

/** What is found where `allow` stands at the top of a file. */
function problemsWith(allow: string, env: Record<string, string> = {}): string[] {
  const problems = problemsOf(`${HEAD}allow: ${allow}\nroutes: {/x: $1}`, env)
  return problems.map(({ item, message }) => `${item}: ${message}`)
}

const jwtWith = (jwks: string) => `{jwt: {jwks: "${jwks}", issuer: i, audience: a}}`

describe('rules of access', () => {
  it('stand at the top for every route, and in a route for itself', () => {
    const { routes } = accepted(`${HEAD}allow: ${KEYS}
deny: {networks: [10.1.2.3, "FD00::/8"]}
freeQuota: {requests: 100, per: day}
routes:
  /a: $1
  /b: {price: $1, allow: {networks: ["::ffff:10.0.0.0/104"]}, freeQuota: {requests: 1, per: hour, by: payer}}
  /c: {price: $1, allow: off, deny: off, freeQuota: off}`)
    const [a, b, c] = routes.map(({ access }) => access)
    expect(a).toMatchObject({
      allow: { keys: [{ name: 'partner-a', sha256: HASH }], keyHeader: 'authorization', jwt: null },
      deny: { networks: ['10.1.2.3/32', 'fd00::/8'], certificates: [] },
      freeQuota: { requests: 100, per: 'day', by: 'address', route: null },
    })
    expect(b).toMatchObject({
      allow: { keys: [], networks: ['10.0.0.0/8'] },
      deny: a?.deny,
      freeQuota: { requests: 1, per: 'hour', by: 'payer', route: '/b' },
    })
    expect(c).toEqual({ allow: null, deny: null, freeQuota: null })
  })

  it('take tokens of an issuer', () => {
    const { routes } = accepted(`${HEAD}routes:
  /a:
    price: $1
    allow:
      jwt:
        jwks: https://id.example.com/keys?tenant=1
        issuer: https://id.example.com/
        audience: [one, two]
        claims: {level: 3}
        forward: true`)
    expect(routes[0]?.access.allow?.jwt).toEqual({
      jwks: { kind: 'url', url: 'https://id.example.com/keys?tenant=1' },
      issuer: 'https://id.example.com/',
      audiences: ['one', 'two'],
      claims: new Map([['level', '3']]),
      forward: true,
    })
  })

  it.each([
    ['{}', 'allow: names nobody'],
    [
      `{keys: [{name: a, sha256: ${HASH.slice(1)}}]}`,
      'allow.keys[0].sha256: is not a SHA-256 of 64 hex digits',
    ],
    [
      `{keys: [{name: a, sha256: "${'x'.repeat(64)}"}]}`,
      'allow.keys[0].sha256: is not a SHA-256 of 64 hex digits',
    ],
    [
      `{keys: [{name: a, sha256: ${HASH}}, {name: b, sha256: ${HASH.toUpperCase()}}]}`,
      'allow.keys[1]: has the key of another name',
    ],
    [
      `{keys: [{name: a, sha256: ${HASH}}, {name: a, sha256: ${'cd'.repeat(32)}}]}`,
      'allow.keys[1].name: is there twice',
    ],
    [
      '{networks: [10.0.0.0/33]}',
      'allow.networks[0]: "10.0.0.0/33" is not an address or a CIDR range',
    ],
    [
      '{networks: [example.com]}',
      'allow.networks[0]: "example.com" is not an address or a CIDR range',
    ],
    [
      '{networks: ["::ffff:10.0.0.0/8"]}',
      'allow.networks[0]: "::ffff:10.0.0.0/8" is not an address or a CIDR range',
    ],
    [
      '{certificates: [client.example.com]}',
      'allow.certificates: needs certificates, and nobody is asked for one',
    ],
    ['{networks: [10.0.0.0/8], header: x-api-key}', 'allow.header: has no meaning without keys'],
    [
      '{jwt: {jwks: "https://id.example.com", issuer: i, audience: a, claims: {aud: b}}}',
      'allow.jwt.claims.aud: is not checked here',
    ],
  ])('say what is wrong with %s', (allow, problem) => {
    expect(problemsWith(allow)).toEqual([problem])
  })

  it.each([
    ['http://id.example.com/jwks.json', 'is not https, so anybody on the way could put in keys'],
    ['http://localhost:3000/jwks.json', null],
    ['http://127.0.0.1:3000/jwks.json', null],
    ['https://user:secret@id.example.com/', 'has a user name or password in it'],
    ['./jwks.json', 'is neither a URL nor a set of keys'],
  ])('say what is wrong with the keys at %s', (jwks, problem) => {
    const expected = problem === null ? [] : [`allow.jwt.jwks: ${problem}`]
    expect(problemsWith(jwtWith(jwks))).toEqual(expected)
  })

  it.each([
    ['public', { keys: [publicJwk] }, null],
    ['private', { keys: [publicJwk, privateJwk] }, 'has a private or symmetric key in it'],
    [
      'symmetric',
      { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] },
      'has a private or symmetric key in it',
    ],
    [
      'broken',
      { keys: [publicJwk, { kty: 'EC', crv: 'P-256' }] },
      'has a key that is none: keys[1]',
    ],
    ['missing', { keys: [] }, 'is no JSON with a list of keys (RFC 7517)'],
    ['elsewhere', { jwks: [publicJwk] }, 'is no JSON with a list of keys (RFC 7517)'],
  ])('say what is wrong with keys that are %s, and repeat none', (_case, value, problem) => {
    const found = problemsWith(jwtWith(`\${JWKS}`), { JWKS: JSON.stringify(value) })
    expect(found).toEqual(problem === null ? [] : [`allow.jwt.jwks: ${problem}`])
  })

  it('say that nothing can be given away where everything is free', () => {
    const problems = problemsOf(
      `${HEAD}routes: {/x: {price: free, freeQuota: {requests: 1, per: day}}}`,
    )
    expect(brief(problems)).toEqual(['6:28 routes."/x".freeQuota: has no meaning on a free route'])
  })

  it('say what no certificate of one client is called', () => {
    const problems = problemsOf(`${HEAD}server: {tls: {cert: c, key: k, clientCa: a}}
deny: {certificates: ["*.example.com", "spiffe://example.com/a"]}
routes: {/x: $1}`)
    expect(brief(problems.filter(({ item }) => item.startsWith('deny')))).toEqual([
      '7:23 deny.certificates[0]: "*.example.com" is not the name of one client',
    ])
  })

  it('never repeat a key that stands where its hash should', () => {
    const key = 'fbk_this-was-meant-to-be-hashed'
    const [problem] = problemsOf(
      `${HEAD}allow: {keys: [{name: a, sha256: ${key}}]}\nroutes: {/x: $1}`,
    )
    expect(JSON.stringify(problem)).toContain('is not a SHA-256')
    expect(JSON.stringify(problem)).not.toContain(key)
  })
})
