import { generateKeyPairSync, type KeyObject } from 'node:crypto'

/** A key pair in the form that a service hands out its secret in. */
export interface ApiKey {
  readonly keyId: string
  readonly keySecret: string
  readonly publicKey: KeyObject
}

/** Base64 of seed and public key. */
export function coinbaseEd25519Key(): ApiKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  const bytes = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')])
  return { keyId: crypto.randomUUID(), keySecret: bytes.toString('base64'), publicKey }
}

/** PEM, in PKCS #8 as the service's own client wants it, or as older keys were. */
export function coinbaseP256Key(type: 'pkcs8' | 'sec1' = 'pkcs8'): ApiKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keySecret = privateKey.export({ format: 'pem', type }).toString()
  const keyId = `organizations/${crypto.randomUUID()}/apiKeys/${crypto.randomUUID()}`
  return { keyId, keySecret, publicKey }
}

/** Base64 of PKCS #8. */
export function payaiKey(): ApiKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const keySecret = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
  return { keyId: crypto.randomUUID(), keySecret, publicKey }
}
