import type { Finding } from './problems.ts'

export type ReadUrl =
  | { readonly kind: 'url'; readonly url: URL }
  | ({ readonly kind: 'refused' } & Finding)

/** No white space, no backslash (which some parsers take for a slash), nothing unprintable. */
const HTTP_URL = /^https?:\/\/[^\s\\\p{Cc}\p{Cf}]+$/iu

/**
 * Reads the address of a server. It names a place and nothing more: credentials would end up in
 * logs, and a query or fragment would be lost when a path is added.
 *
 * The findings never repeat the URL: a key may be part of it.
 */
export function readHttpUrl(text: string): ReadUrl {
  const url = HTTP_URL.test(text) ? URL.parse(text) : null
  if (url === null) {
    const cure = 'Write it in full, like https://api.example.com or http://localhost:3000.'
    return refused('is not an http or https URL', cure)
  }
  if (url.username !== '' || url.password !== '') {
    return refused('has a user name or password in it', 'Send it in a header: authorization.')
  }
  if (text.includes('?') || text.includes('#')) {
    return refused('has a query or a fragment', 'Remove everything from ? or # on.')
  }
  return { kind: 'url', url }
}

/** Origin and path without a slash at the end. */
export function baseOf(url: URL): string {
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function refused(message: string, cure: string): ReadUrl {
  return { kind: 'refused', message, cure }
}
