import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import type { Now } from './credentials.ts'
import { provenKey, type ReadKey, signJwt } from './jwt.ts'

const LIFETIME_SECONDS = 120
/** What clocks may differ by, and a request may take. */
const RENEWED_BEFORE_END_SECONDS = 30

/**
 * Makes the token for calls to PayAI. One is good for every path, and kept until it soon runs out.
 *
 * Source: @payai/facilitator 2.4.1.
 */
export function openPayaiCredentials(
  { keyId, keySecret }: { readonly keyId: string; readonly keySecret: string },
  now: Now,
): () => string {
  const key = provenKey(readPayaiKey(keySecret))
  let kept = { token: '', exp: 0 }
  return () => {
    const iat = Math.floor(now() / 1000)
    // A clock that was set back must not keep a token that starts in the future.
    const left = kept.exp - iat
    if (left > RENEWED_BEFORE_END_SECONDS && left <= LIFETIME_SECONDS) return kept.token
    const exp = iat + LIFETIME_SECONDS
    const claims = { sub: keyId, iss: 'payai-merchant', iat, exp, jti: randomUUID() }
    kept = { token: signJwt(key, { kid: keyId }, claims), exp }
    return kept.token
  }
}

const PREFIX = 'payai_sk_'

/** Reads an API key's secret: base64 of an Ed25519 key in PKCS #8, with or without its prefix. */
export function readPayaiKey(secret: string): ReadKey {
  const text = secret.trim()
  const key = parseKey(text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text)
  if (key !== null) return { kind: 'key', algorithm: 'EdDSA', key }
  const cure = `Copy the secret again from PayAI's merchant portal, with ${PREFIX} at its start.`
  return { kind: 'refused', message: 'is not a secret of a PayAI API key', cure }
}

function parseKey(base64: string): KeyObject | null {
  if (!/^[A-Za-z0-9+/_-]{16,}={0,2}$/.test(base64)) return null
  try {
    const der = Buffer.from(base64, 'base64')
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    return key.asymmetricKeyType === 'ed25519' ? key : null
  } catch {
    return null
  }
}
