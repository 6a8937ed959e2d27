import { createLocalJWKSet, errors, type JWK, type JWTVerifyGetKey } from 'jose'
import { FareboxError } from '../errors.ts'

/** The public keys of one issuer. */
export interface KeySet {
  /**
   * The key that a token names. Rejects with what `createLocalJWKSet` rejects with, and with
   * `KeysUnavailableError` where there are no keys to look among.
   */
  readonly find: JWTVerifyGetKey
}

/** The keys of an issuer could not be fetched. Its tokens are worth nothing until they can be. */
export class KeysUnavailableError extends FareboxError {
  readonly code = 'jwks_unavailable'

  constructor(host: string, cause: unknown) {
    super(`The keys of the tokens' issuer could not be fetched from ${host}.`, {
      fix: 'Check allow.jwt.jwks and the way there: whoever brings a token pays meanwhile.',
      cause,
    })
  }
}

export interface RemoteKeySetOptions {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  reportError(error: KeysUnavailableError): void
  /** Default: the fetch of Node. */
  readonly fetch?: typeof globalThis.fetch
}

/** From then on keys are fetched again, while those that are there are still used. */
const FRESH_MS = 5 * 60_000
/** Without news for so long, keys are worth nothing: their issuer may have taken them back. */
const KEPT_MS = 60 * 60_000
/** Between two fetches, whatever came of the first: tokens of strangers must not cause more. */
const COOL_DOWN_MS = 10_000
const TIMEOUT_MS = 5_000
const BYTES_MAX = 256 * 1024
const KEYS_MAX = 256

/** Symmetric keys are none: whoever can check their tokens can make them. */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])

/** @param json As `check` has found it to be right. */
export function createInlineKeySet(json: string): KeySet {
  return { find: createLocalJWKSet({ keys: readKeys(JSON.parse(json)) }) }
}

/** Keys behind a URL: fetched when the first token comes, then kept for a while. */
export function createRemoteKeySet(url: string, options: RemoteKeySetOptions): KeySet {
  return new RemoteKeySet(url, options)
}

class RemoteKeySet implements KeySet {
  readonly #url: URL
  readonly #options: RemoteKeySetOptions
  #keys: JWTVerifyGetKey | null = null
  #fetchedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #failure: KeysUnavailableError
  #pending: Promise<boolean> | null = null

  constructor(url: string, options: RemoteKeySetOptions) {
    this.#url = new URL(url)
    this.#options = options
    this.#failure = new KeysUnavailableError(this.#url.host, null)
  }

  readonly find: JWTVerifyGetKey = async (header, token) => {
    const age = this.#options.now() - this.#fetchedAt
    if (age > KEPT_MS) this.#keys = null
    if (this.#keys === null) await this.#refresh()
    else if (age > FRESH_MS) void this.#refresh()
    if (this.#keys === null) throw this.#failure
    try {
      return await this.#keys(header, token)
    } catch (error) {
      // Keys are rotated: this one may be newer than what we have.
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.#refresh())) throw error
      return this.#keys(header, token)
    }
  }

  /** False: not now, or in vain. Never rejects. */
  #refresh(): Promise<boolean> {
    if (this.#pending !== null) return this.#pending
    const { now } = this.#options
    if (now() < this.#askedAt + COOL_DOWN_MS) return Promise.resolve(false)
    this.#askedAt = now()
    this.#pending = this.#fetch().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  async #fetch(): Promise<boolean> {
    const { now, reportError, fetch = globalThis.fetch } = this.#options
    try {
      const response = await fetch(this.#url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
        // Somewhere else, somebody else could answer.
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const text = await readBounded(response)
      if (response.status !== 200) throw new Error(`It answered with status ${response.status}.`)
      this.#keys = createLocalJWKSet({ keys: readKeys(JSON.parse(text)) })
      this.#fetchedAt = now()
      return true
    } catch (cause) {
      this.#failure = new KeysUnavailableError(this.#url.host, cause)
      reportError(this.#failure)
      return false
    }
  }
}

async function readBounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > BYTES_MAX) throw new Error(`It sent more than ${BYTES_MAX / 1024} KiB.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function readKeys(value: unknown): JWK[] {
  const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : null
  if (!Array.isArray(keys)) throw new Error('What it sent is no set of keys (RFC 7517).')
  return keys.filter(isPublicKey).slice(0, KEYS_MAX)
}

function isPublicKey(key: unknown): key is JWK {
  return typeof key === 'object' && key !== null && 'kty' in key && KEY_TYPES.has(key.kty)
}
