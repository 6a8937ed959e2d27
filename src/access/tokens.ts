import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import type { JwtConfig } from '../config/access-config.ts'
import type { CredentialFlaw } from './access.ts'
import { type KeySet, KeysUnavailableError } from './key-set.ts'

export type TokenCheck =
  | { readonly kind: 'good'; readonly subject: string | null }
  | { readonly kind: 'flawed'; readonly reason: CredentialFlaw }

/** Never rejects, whatever the token is. */
export type CheckToken = (token: string) => Promise<TokenCheck>

/**
 * Signatures that only the issuer can make. With a symmetric algorithm the public key, which
 * everybody has, would be the secret (RFC 8725, section 3.1).
 */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

/** How far the clocks of the issuer and of this machine may differ. */
const SKEW_SECONDS = 30

/** Three parts of base64url, the first two of which are JSON objects. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** May stand in a header as it is. */
const SUBJECT = /^[\x21-\x7e]{1,256}$/

export function looksLikeToken(text: string): boolean {
  return COMPACT.test(text)
}

export function createTokenCheck(config: JwtConfig, keys: KeySet): CheckToken {
  const { issuer, audiences } = config
  return async token => {
    try {
      // Whoever wants us to fetch keys must at least have a token that could be good.
      const early = judgeUnverified(token, config)
      if (early !== null) return { kind: 'flawed', reason: early }
      const { payload } = await jwtVerify(token, keys.find, {
        algorithms: ALGORITHMS,
        issuer,
        audience: [...audiences],
        clockTolerance: SKEW_SECONDS,
        requiredClaims: ['exp'],
      })
      if (!hasClaims(payload, config)) return { kind: 'flawed', reason: 'jwt_claim' }
      const { sub } = payload
      return { kind: 'good', subject: sub !== undefined && SUBJECT.test(sub) ? sub : null }
    } catch (error) {
      return { kind: 'flawed', reason: reasonOf(error) }
    }
  }
}

/** What can be refused without a key. Throws what `jose` throws at a malformed token. */
function judgeUnverified(token: string, { issuer }: JwtConfig): CredentialFlaw | null {
  const { alg } = decodeProtectedHeader(token)
  if (alg === undefined || !ALGORITHMS.includes(alg)) return 'jwt_algorithm'
  const { iss, exp } = decodeJwt(token)
  if (iss !== issuer) return 'jwt_issuer'
  return exp !== undefined && exp + SKEW_SECONDS < Date.now() / 1000 ? 'jwt_expired' : null
}

function hasClaims(payload: JWTPayload, { claims }: JwtConfig): boolean {
  return [...claims].every(([name, wanted]) => {
    const value = payload[name]
    // A scope is a list in one text (RFC 8693, section 4.2).
    const values = name === 'scope' && typeof value === 'string' ? value.split(' ') : [value].flat()
    return values.some(one => isScalar(one) && String(one) === wanted)
  })
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}

const CLAIM_FLAWS: Readonly<Record<string, CredentialFlaw>> = {
  iss: 'jwt_issuer',
  aud: 'jwt_audience',
  exp: 'jwt_expired',
  nbf: 'jwt_not_yet_valid',
}

function reasonOf(error: unknown): CredentialFlaw {
  if (error instanceof KeysUnavailableError) return 'jwks_unavailable'
  if (error instanceof errors.JWTExpired) return 'jwt_expired'
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIM_FLAWS[error.claim] ?? 'jwt_claim'
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'jwt_signature'
  if (error instanceof errors.JWKSNoMatchingKey) return 'jwt_unknown_key'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'jwt_unknown_key'
  return 'jwt_malformed'
}
