import { type KeyObject, sign } from 'node:crypto'

export interface SigningKey {
  readonly algorithm: 'EdDSA' | 'ES256'
  readonly key: KeyObject
}

/** Why text is not a key of the wanted form. Never repeats it. */
export interface RefusedKey {
  readonly kind: 'refused'
  readonly message: string
  readonly cure: string
}

export type ReadKey = ({ readonly kind: 'key' } & SigningKey) | RefusedKey

/** A signed token in its compact form (RFC 7519; RFC 7515, section 7.1). */
export function signJwt(
  { algorithm, key }: SigningKey,
  header: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, unknown>>,
): string {
  const content = `${encode({ alg: algorithm, typ: 'JWT', ...header })}.${encode(claims)}`
  // RFC 7518, section 3.4: both numbers of an ECDSA signature side by side, not in DER.
  const signature = sign(algorithm === 'ES256' ? 'sha256' : null, Buffer.from(content), {
    ...{ key, dsaEncoding: 'ieee-p1363' },
  })
  return `${content}.${signature.toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** For a key that `check` has accepted, and nobody has changed since. */
export function provenKey(read: ReadKey): SigningKey {
  if (read.kind === 'key') return read
  throw new Error(`An unchecked key ${read.message}.`)
}
