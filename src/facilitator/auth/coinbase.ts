import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import type { AuthorizedCall, Now } from './credentials.ts'
import { provenKey, type ReadKey, type RefusedKey, signJwt } from './jwt.ts'

const LIFETIME_SECONDS = 120

/**
 * Makes the token for one call to Coinbase's Developer Platform. It is bound to method, host and
 * path, and has a nonce: one for each call.
 *
 * Source: @coinbase/cdp-sdk 1.57.0, auth/utils/jwt.
 */
export function openCoinbaseCredentials(
  { keyId, keySecret }: { readonly keyId: string; readonly keySecret: string },
  now: Now,
): (call: AuthorizedCall) => string {
  const key = provenKey(readCoinbaseKey(keySecret))
  return ({ method, url }) => {
    const iat = Math.floor(now() / 1000)
    const header = { kid: keyId, nonce: randomBytes(16).toString('hex') }
    return signJwt(key, header, {
      ...{ sub: keyId, iss: 'cdp', uris: [`${method} ${url.host}${url.pathname}`] },
      ...{ iat, nbf: iat, exp: iat + LIFETIME_SECONDS },
    })
  }
}

/** 32 bytes of seed, then 32 of the public key. */
const ED25519_BASE64 = /^[A-Za-z0-9+/_-]{86}(==)?$/

/** What stands before the seed in PKCS #8 (RFC 8410, section 7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Reads an API key's secret: base64 of an Ed25519 key, or the PEM of a P-256 key. */
export function readCoinbaseKey(secret: string): ReadKey {
  const text = secret.trim()
  if (text.includes('-----BEGIN')) return readPem(text)
  if (!ED25519_BASE64.test(text)) return refused('is not a secret of a Coinbase API key')
  const bytes = Buffer.from(text, 'base64')
  const der = Buffer.concat([ED25519_PKCS8, bytes.subarray(0, 32)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const isWhole =
    createPublicKey(key).export({ format: 'jwk' }).x === bytes.subarray(32).toString('base64url')
  if (!isWhole) return refused('has two halves that do not belong together')
  return { kind: 'key', algorithm: 'EdDSA', key }
}

function readPem(text: string): ReadKey {
  // Environment files cannot hold line breaks, and write them like this.
  const key = parsePem(text.replaceAll('\\n', '\n'))
  if (key === null) return refused('is a PEM key that is damaged')
  const isP256 = key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
  if (!isP256) return refused('is a PEM key, and not one on the curve P-256')
  return { kind: 'key', algorithm: 'ES256', key }
}

function parsePem(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem)
  } catch {
    return null
  }
}

function refused(message: string): RefusedKey {
  const cure =
    'Copy the secret again from the Coinbase Developer Platform: the base64 text of an Ed25519 ' +
    'key (64 bytes), or all lines of an ECDSA key from BEGIN to END.'
  return { kind: 'refused', message, cure }
}
