import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose'
import { serveLocally } from '../support/json-server.ts'

export const AUDIENCE = 'https://api.example.com'

export interface SigningKey {
  readonly publicKey: JWK
  readonly privateKey: CryptoKey
}

export async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { publicKey: { ...(await exportJWK(publicKey)), kid, alg }, privateKey }
}

/** Whoever makes tokens, with a real server for the public keys. */
export interface Issuer {
  readonly url: string
  /** What the server answers with; null: status 500. */
  keys: JWK[] | null
  /** Instead of the keys; null: the keys. */
  body: string | null
  /** How often it was asked. */
  readonly fetches: number
  close(): Promise<void>
}

export async function startIssuer(keys: readonly SigningKey[]): Promise<Issuer> {
  const answer: Pick<Issuer, 'keys' | 'body'> & { fetches: number } = {
    keys: keys.map(({ publicKey }) => publicKey),
    body: null,
    fetches: 0,
  }
  const { url, close } = await serveLocally(async (request, response) => {
    answer.fetches++
    if (request.url === '/moved') response.writeHead(302, { location: '/jwks.json' }).end()
    else if (answer.keys === null) response.writeHead(500).end()
    else response.end(answer.body ?? JSON.stringify({ keys: answer.keys }))
  })
  return Object.assign(answer, { url: `${url}/jwks.json`, close })
}

/** `undefined` takes a claim out. */
export type Claims = Readonly<Record<string, unknown>>

/** A good token, but for what is replaced. */
export async function tokenOf(
  key: SigningKey,
  claims: Claims = {},
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'partner-b', exp: now + 60, ...claims }
  const { kid = '', alg = '' } = key.publicKey
  return new SignJWT(payload).setProtectedHeader({ alg, kid, ...header }).sign(key.privateKey)
}

export const ISSUER = 'https://id.example.com/'
