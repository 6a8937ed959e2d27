import type { FacilitatorConfig } from '../../config/gateway-config.ts'
import { openCoinbaseCredentials } from './coinbase.ts'
import { openPathKey } from './path-key.ts'
import { openPayaiCredentials } from './payai.ts'

export interface AuthorizedCall {
  readonly method: 'GET' | 'POST'
  /** All of it, as it will be asked for. */
  readonly url: URL
}

/** How a facilitator knows who asks. */
export interface Credentials {
  /** Base URL without a slash at its end. May carry a key in its path: never logged. */
  readonly baseUrl: string
  /** Made anew for each call, because a token may be bound to it, or have run out. */
  headersFor(call: AuthorizedCall): Readonly<Record<string, string>>
}

/** Milliseconds since 1970, of which tokens have the seconds. */
export type Now = () => number

/**
 * Credentials of the kind that the configuration names. Its plain headers go with all of them.
 *
 * @throws Error where a key is not what `check` has found it to be.
 */
export function openCredentials(
  config: Pick<FacilitatorConfig, 'url' | 'headers' | 'auth'>,
  now: Now = Date.now,
): Credentials {
  const { url, headers, auth } = config
  switch (auth.kind) {
    case 'none':
      return { baseUrl: url, headersFor: () => headers }
    case 'path':
      return { baseUrl: openPathKey(url, auth.key), headersFor: () => headers }
    case 'coinbase': {
      const tokenFor = openCoinbaseCredentials(auth, now)
      return { baseUrl: url, headersFor: call => withToken(headers, tokenFor(call)) }
    }
    case 'payai': {
      const token = openPayaiCredentials(auth, now)
      return { baseUrl: url, headersFor: () => withToken(headers, token()) }
    }
  }
}

function withToken(
  headers: Readonly<Record<string, string>>,
  token: string,
): Record<string, string> {
  return { ...headers, authorization: `Bearer ${token}` }
}
