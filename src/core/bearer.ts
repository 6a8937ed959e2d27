const BEARER = /^Bearer +([\x21-\x7e]+)$/i

/**
 * The one bearer token of a request (RFC 6750, section 2.1); null where there is none, or two.
 *
 * @param authorization Values of the request's Authorization header.
 */
export function readBearer(authorization: readonly string[], charactersMax: number): string | null {
  const [value = ''] = authorization
  if (authorization.length !== 1 || value.length > charactersMax) return null
  return BEARER.exec(value)?.[1] ?? null
}
